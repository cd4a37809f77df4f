/* Input of the compiler: no headers; loops, structures, calls and floating point to optimise. */
typedef unsigned long size_t;
void* malloc(size_t);

struct node {
  struct node *left, *right;
  long key;
  double weight;
};

#define TREE(n)                                                                              \
  static struct node* insert##n(struct node* root, long key) {                              \
    struct node** at = &root;                                                                \
    while (*at) at = key < (*at)->key ? &(*at)->left : &(*at)->right;                        \
    *at = malloc(sizeof **at);                                                               \
    if (*at) **at = (struct node){0, 0, key * (n + 3), key / (n + 2.0)};                     \
    return root;                                                                             \
  }                                                                                          \
  static double weigh##n(const struct node* root, int depth) {                              \
    if (!root) return depth * (n + 0.5);                                                     \
    const double left = weigh##n(root->left, depth + 1), right = weigh##n(root->right, 1);   \
    return root->weight + (left < right ? left * (n + 1) : right - left);                    \
  }                                                                                          \
  double run##n(const int* keys, int count, double* table) {                                \
    struct node* root = 0;                                                                   \
    for (int i = 0; i < count; i++) root = insert##n(root, keys[i] ^ (n * 77));              \
    for (int i = 1; i < count; i++)                                                          \
      for (int j = 0; j < n + 4; j++) table[i] += table[i - 1] * keys[(i + j) % count] / (j + n + 1); \
    switch (count % (n + 5)) {                                                               \
      case 0: return weigh##n(root, n);                                                      \
      case 1: return table[count / 2] + weigh##n(root->left, 1);                             \
      case 2: return table[0] > table[1] ? table[0] : table[1];                              \
      case 3: return -weigh##n(root->right, 2);                                              \
      default: return root ? root->weight : 0;                                               \
    }                                                                                        \
  }

TREE(1)
TREE(2)
TREE(3)
TREE(4)
