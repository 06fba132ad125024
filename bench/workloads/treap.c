/*
 * A map from strings to numbers, kept in a treap: a search tree by key, a heap by random priority.
 * Insertion is the textbook's, recursive and making the node where the search ends, so every node
 * and its key, which is a block of its own, are made some twenty to forty calls deep at a place
 * that no other node was made at.  Half of the 131,072 possible keys are put in first; after that,
 * of four steps two look up, one inserts or replaces, one removes, so that about half stay in.
 */
#include "workload.h"

enum { KEYS = 1 << 17, KEY_BYTES = 48, STEPS = 1400000 };

struct node {
    struct node *left, *right;
    char *key;
    uint32_t priority;
    uint64_t value;
};

static struct node *root;
static uint64_t dice = 88172645463325252u;
static uint64_t sum;

static struct node *node_make(const char *key, uint64_t value)
{
    struct node *node = malloc(sizeof *node);
    size_t bytes = strlen(key) + 1;
    REQUIRE(node != NULL);
    node->left = node->right = NULL;
    node->key = malloc(bytes);
    REQUIRE(node->key != NULL);
    memcpy(node->key, key, bytes);
    node->priority = roll(&dice);
    node->value = value;
    return node;
}

static void node_free(struct node *node)
{
    sum += node->value + (unsigned char)node->key[0];
    free(node->key);
    free(node);
}

static struct node *rotate_right(struct node *node)
{
    struct node *left = node->left;
    node->left = left->right;
    left->right = node;
    return left;
}

static struct node *rotate_left(struct node *node)
{
    struct node *right = node->right;
    node->right = right->left;
    right->left = node;
    return right;
}

NOINLINE static struct node *insert(struct node *node, const char *key, uint64_t value)
{
    if (node == NULL)
        return node_make(key, value);
    int order = strcmp(key, node->key);
    if (order < 0) {
        node->left = insert(node->left, key, value);
        if (node->left->priority > node->priority)
            return rotate_right(node);
    } else if (order > 0) {
        node->right = insert(node->right, key, value);
        if (node->right->priority > node->priority)
            return rotate_left(node);
    } else {
        node->value = value;
    }
    return node;
}

static struct node *join(struct node *left, struct node *right)
{
    if (left == NULL || right == NULL)
        return left != NULL ? left : right;
    if (left->priority > right->priority) {
        left->right = join(left->right, right);
        return left;
    }
    right->left = join(left, right->left);
    return right;
}

static struct node **find(const char *key)
{
    struct node **link = &root;
    for (int order; *link != NULL && (order = strcmp(key, (*link)->key)) != 0;)
        link = order < 0 ? &(*link)->left : &(*link)->right;
    return link;
}

static void key_write(char *key, uint32_t number)
{
    snprintf(key, KEY_BYTES, "%x/session/%u", number * 2654435761u, number);
}

static void step(uint64_t value)
{
    char key[KEY_BYTES];
    struct node **link, *node;
    key_write(key, roll_below(&dice, KEYS));
    switch (roll(&dice) & 3) {
    case 0:
        root = insert(root, key, value);
        break;
    case 1:
        link = find(key);
        if ((node = *link) != NULL) {
            *link = join(node->left, node->right);
            node_free(node);
        }
        break;
    default:
        node = *find(key);
        sum += node != NULL ? node->value : 1;
    }
}

static void tree_free(struct node *node)
{
    if (node == NULL)
        return;
    tree_free(node->left);
    tree_free(node->right);
    node_free(node);
}

int main(int argc, char **argv)
{
    size_t steps = scaled(argc, argv, STEPS);
    char key[KEY_BYTES];
    for (uint32_t i = 0; i < KEYS; i += 2) {
        key_write(key, i);
        root = insert(root, key, i);
    }
    for (size_t i = 0; i < steps; i++)
        step(i);
    tree_free(root);
    root = NULL;
    sum_print("treap", sum);
    return 0;
}
