/* What the files of this room share: how a cfg lies in memory. */
#ifndef DARKNET_CONFIG_CFG_INTERNAL_H
#define DARKNET_CONFIG_CFG_INTERNAL_H

#include "config/config.h"

typedef struct cfg_key {
    char *name, *value;
    int line;
    bool known; /* some reader asked for it */
} cfg_key;

/* The names that readers asked a section for, whether it has them or not: candidates for "did you mean". */
typedef struct asked_names {
    char **names;
    size_t count, capacity;
} asked_names;

struct cfg_section {
    const cfg *owner;
    char *name;
    int line;
    cfg_key *keys;
    size_t count, capacity;
    asked_names *asked; /* behind a pointer, so that readers of a const section can note what they ask for */
};

struct cfg {
    char *path;
    cfg_section **sections; /* pointers stay valid while the cfg grows */
    size_t count, capacity;
};

/* The key of that name, or NULL; does not mark it. */
cfg_key *section_find_key(const cfg_section *s, const char *name);

#endif
