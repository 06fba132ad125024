/*
 * A recursive tree builder: documents nest 40 levels deep before anything is made, as a parser's
 * rules do, and then up to 60, where every rule makes a node with its text.  Four rules call one
 * another from two places each, so nearly every node has an allocation stack of its own; the 32
 * documents come again and again, so there are some 130,000 such stacks.  A tree is walked and
 * freed when eight more have been built.
 */
#include "workload.h"

enum { DOCUMENTS = 32, KEPT = 8, FIRST_LEVEL = 40, LAST_LEVEL = 60, BUILDS = 3000 };

struct node {
    struct node *left, *right;
    char *text;
    size_t text_bytes;
};

static struct node *rule_0(uint64_t *dice, unsigned level);
static struct node *rule_1(uint64_t *dice, unsigned level);
static struct node *rule_2(uint64_t *dice, unsigned level);
static struct node *rule_3(uint64_t *dice, unsigned level);
static struct node *(*const rules[])(uint64_t *, unsigned) = {rule_0, rule_1, rule_2, rule_3};

static struct node *node_make(uint64_t *dice)
{
    struct node *node = malloc(sizeof *node);
    REQUIRE(node != NULL);
    node->left = node->right = NULL;
    node->text_bytes = 8 + roll_below(dice, 40);
    node->text = malloc(node->text_bytes);
    REQUIRE(node->text != NULL);
    block_fill(node->text, node->text_bytes, roll(dice));
    return node;
}

/* Above FIRST_LEVEL a rule only leads to another; below, 95 of 100 times to one or two. */
#define RULE(at)                                                           \
    NOINLINE static struct node *rule_##at(uint64_t *dice, unsigned level) \
    {                                                                      \
        struct node *node;                                                 \
        uint32_t face = roll(dice);                                        \
        if (level < FIRST_LEVEL) {                                         \
            node = rules[face & 3](dice, level + 1);                       \
            OPAQUE(node);                                                  \
            return node;                                                   \
        }                                                                  \
        node = node_make(dice);                                            \
        if (level < LAST_LEVEL && (face >> 4) % 100 < 95)                  \
            node->left = rules[face & 3](dice, level + 1);                 \
        if (level < LAST_LEVEL && (face >> 16) % 100 < 45)                 \
            node->right = rules[face >> 2 & 3](dice, level + 1);           \
        return node;                                                       \
    }
RULE(0)
RULE(1)
RULE(2)
RULE(3)

NOINLINE static uint64_t tree_free(struct node *node)
{
    if (node == NULL)
        return 0;
    uint64_t sum = block_sum(node->text, node->text_bytes);
    sum += 3 * tree_free(node->left) + 5 * tree_free(node->right);
    free(node->text);
    free(node);
    return sum;
}

int main(int argc, char **argv)
{
    static struct node *kept[KEPT];
    size_t builds = scaled(argc, argv, BUILDS);
    uint64_t sum = 0;
    for (size_t i = 0; i < builds; i++) {
        uint64_t dice = 88172645463325252u + i % DOCUMENTS;
        for (int j = 0; j < 8; j++) /* neighbouring seeds fall alike at first */
            roll(&dice);
        sum += tree_free(kept[i % KEPT]);
        kept[i % KEPT] = rule_0(&dice, 0);
    }
    for (int i = 0; i < KEPT; i++)
        sum += tree_free(kept[i]);
    sum_print("tree", sum);
    return 0;
}
