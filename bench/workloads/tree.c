/*
 * A recursive tree builder: a parser for documents that nest 40 levels deep before anything is
 * made and up to 60 after that, where every rule makes a node and a block for its text.
 *
 *     A C B … a some\ttext( b more text( c leaf )) …     a letter names the rule of what follows;
 *                                                        capitals only nest
 *
 * Four rules call one another, each from two places, so nearly every node has an allocation stack
 * of its own; 32 documents come again and again, so there are some 90,000 such stacks.  A tree is
 * walked and freed when eight more have been built.
 */
#include "workload.h"

enum { DOCUMENTS = 32, KEPT = 8, FIRST_LEVEL = 40, LAST_LEVEL = 60, BUILDS = 1200 };
enum { SHORTEST = 16, LONGEST = 80 };

struct document {
    char *text;
    size_t used, room;
};

struct node {
    struct node *left, *right;
    char *text;
    size_t bytes;
    uint64_t hash;
};

static void put(struct document *document, int letter)
{
    if (document->used == document->room) {
        document->room = document->room > 0 ? 2 * document->room : 1024;
        document->text = realloc(document->text, document->room);
        REQUIRE(document->text != NULL);
    }
    document->text[document->used++] = (char)letter;
}

/* Writes what a rule will read: a text, where one letter of 16 is escaped, and what hangs below. */
static void document_write(struct document *document, uint64_t *dice, unsigned level)
{
    uint32_t face = roll(dice);
    if (level < FIRST_LEVEL) {
        put(document, 'A' + (face & 3));
        document_write(document, dice, level + 1);
        return;
    }
    put(document, 'a' + (face & 3));
    for (uint32_t i = SHORTEST + roll_below(dice, LONGEST - SHORTEST); i > 0; i--) {
        uint32_t letter = roll(dice);
        if (letter % 16 == 0)
            put(document, '\\');
        put(document, 'a' + (letter >> 8) % 26);
    }
    if (level < LAST_LEVEL && (face >> 4) % 100 < 95) {
        put(document, '(');
        document_write(document, dice, level + 1);
    }
    if (level < LAST_LEVEL && (face >> 16) % 100 < 45) {
        put(document, '+');
        document_write(document, dice, level + 1);
    }
    put(document, ')');
}

static struct node *rule_0(const char **at);
static struct node *rule_1(const char **at);
static struct node *rule_2(const char **at);
static struct node *rule_3(const char **at);
static struct node *(*const rules[])(const char **) = {rule_0, rule_1, rule_2, rule_3};

/* Reads a text up to the mark that ends it, without its escapes. */
static struct node *node_read(const char **at)
{
    char text[LONGEST];
    size_t bytes = 0;
    uint64_t hash = 0xcbf29ce484222325u;
    for (; **at != '(' && **at != '+' && **at != ')'; ++*at) {
        *at += **at == '\\';
        text[bytes++] = **at;
        hash = (hash ^ (unsigned char)**at) * 0x100000001b3u;
    }
    struct node *node = calloc(1, sizeof *node);
    REQUIRE(node != NULL);
    node->text = malloc(bytes);
    REQUIRE(node->text != NULL);
    memcpy(node->text, text, bytes);
    node->bytes = bytes;
    node->hash = hash;
    return node;
}

#define RULE(number)                                                 \
    NOINLINE static struct node *rule_##number(const char **at)      \
    {                                                                \
        struct node *node;                                           \
        int letter = *(*at)++;                                       \
        if (letter < 'a') {                                          \
            node = rules[letter - 'A'](at);                          \
            OPAQUE(node);                                            \
            return node;                                             \
        }                                                            \
        node = node_read(at);                                        \
        if (**at == '(')                                             \
            node->left = rules[(number + letter) & 3]((++*at, at));  \
        if (**at == '+')                                             \
            node->right = rules[(number ^ letter) & 3]((++*at, at)); \
        ++*at;                                                       \
        return node;                                                 \
    }
RULE(0)
RULE(1)
RULE(2)
RULE(3)

NOINLINE static uint64_t tree_end(struct node *node)
{
    if (node == NULL)
        return 0;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < node->bytes; i++)
        hash = (hash ^ (unsigned char)node->text[i]) * 0x100000001b3u;
    REQUIRE(hash == node->hash);
    hash += 3 * tree_end(node->left) + 5 * tree_end(node->right);
    free(node->text);
    free(node);
    return hash;
}

int main(int argc, char **argv)
{
    static struct document documents[DOCUMENTS];
    static struct node *kept[KEPT];
    size_t builds = scaled(argc, argv, BUILDS);
    uint64_t dice = 88172645463325252u, sum = 0;
    for (int i = 0; i < DOCUMENTS; i++)
        document_write(&documents[i], &dice, 0);
    for (size_t i = 0; i < builds; i++) {
        const char *at = documents[i % DOCUMENTS].text;
        sum += tree_end(kept[i % KEPT]);
        kept[i % KEPT] = rule_0(&at);
    }
    for (int i = 0; i < KEPT; i++)
        sum += tree_end(kept[i]);
    sum_print("tree", sum);
    return 0;
}
