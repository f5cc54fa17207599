/* Energy of every clock cycle of a gate-level simulation: reads a VCD from standard input, multiplies each
 * transition by the energy of its net, and writes one row of doubles a cycle.
 *
 *   vcd_energy ENERGIES PERIOD_PS OUT [TRANSITIONS] < dump.vcd
 *
 * ENERGIES: first line "parts K names...", then "net index rise_1 .. rise_K fall_1 .. fall_K" (pJ) a line. A
 * net's energies apply wherever its name occurs in the dump, whatever the scope; aliases of one signal add
 * up. OUT: native doubles, K parts, then the energy of settled changes alone (what a simulation without
 * delays would see), then transitions. TRANSITIONS: "net index count" a line for every net of ENERGIES, over
 * the whole dump. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARTS = 16, LINE = 1 << 16, NAME = 64, IDENTIFIER = 12 };

typedef struct {
    char name[NAME];
    int index;
    double pj[2][MAX_PARTS]; /* rise, fall */
    long long transitions;
} net_energy;

typedef struct {
    double pj[2][MAX_PARTS];
    double total[2];
    long long transitions;
    signed char now, at_start; /* 0, 1, -1 unknown */
    bool touched, counts;
} bit;

/* Which net a declared bit is. */
typedef struct {
    size_t net;
    int bit;
} declared;

typedef struct {
    char identifier[IDENTIFIER];
    int width, first_bit;
} variable;

static net_energy *nets;
static size_t net_count, net_room;
static size_t *net_hash, net_hash_size;
static bit *bits;
static size_t bit_count, bit_room;
static variable *variables;
static size_t variable_count, variable_room;
static size_t *variable_hash, variable_hash_size;
static declared *declarations;
static size_t declaration_count, declaration_room;
static size_t *touched, touched_count, touched_room;
static int parts;
static double row[MAX_PARTS + 2];

static void die(const char *what, const char *where) {
    fprintf(stderr, "vcd_energy: %s%s%s\n", what, *where ? ": " : "", where);
    exit(1);
}

static void *grow(void *array, size_t *room, size_t size) {
    *room = *room ? *room * 2 : 1024;
    void *bigger = realloc(array, *room * size);
    if (!bigger) die("out of memory", "");
    return bigger;
}

static size_t hash_of(const char *text, int index) {
    size_t h = 1469598103934665603u + (size_t)index * 1099511628211u;
    while (*text) h = (h ^ (unsigned char)*text++) * 1099511628211u;
    return h ^ (h >> 29);
}

static void read_energies(const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) die("cannot read", path);
    static char line[LINE];
    if (!fgets(line, sizeof line, f) || sscanf(line, "parts %d", &parts) != 1 || parts < 1 ||
        parts > MAX_PARTS)
        die("the first line is not \"parts K ...\"", path);
    while (fgets(line, sizeof line, f)) {
        if (net_count == net_room) nets = grow(nets, &net_room, sizeof *nets);
        net_energy *n = &nets[net_count++];
        n->transitions = 0;
        int used;
        if (sscanf(line, "%63s %d%n", n->name, &n->index, &used) != 2)
            die("a line without a net and its index", path);
        char *at = line + used, *end;
        for (int edge = 0; edge < 2; edge++)
            for (int k = 0; k < parts; k++) {
                n->pj[edge][k] = strtod(at, &end);
                if (end == at) die("a line with too few energies", path);
                at = end;
            }
    }
    fclose(f);
    net_hash_size = 4 * net_count + 64;
    net_hash = calloc(net_hash_size, sizeof *net_hash);
    if (!net_hash) die("out of memory", "");
    for (size_t i = 0; i < net_count; i++) {
        size_t h = hash_of(nets[i].name, nets[i].index) % net_hash_size;
        while (net_hash[h]) h = (h + 1) % net_hash_size;
        net_hash[h] = i + 1;
    }
}

static const net_energy *find_net(const char *name, int index) {
    size_t h = hash_of(name, index) % net_hash_size;
    for (; net_hash[h]; h = (h + 1) % net_hash_size) {
        const net_energy *n = &nets[net_hash[h] - 1];
        if (n->index == index && strcmp(n->name, name) == 0) return n;
    }
    return NULL;
}

/* The declared variable of that identifier, made when missing and width > 0; NULL when missing and width is
 * 0. */
static variable *find_variable(const char *identifier, int width) {
    if (variable_hash_size < 4 * (variable_count + 1)) {
        free(variable_hash);
        variable_hash_size = variable_hash_size ? variable_hash_size * 4 : 4096;
        variable_hash = calloc(variable_hash_size, sizeof *variable_hash);
        if (!variable_hash) die("out of memory", "");
        for (size_t i = 0; i < variable_count; i++) {
            size_t h = hash_of(variables[i].identifier, 0) % variable_hash_size;
            while (variable_hash[h]) h = (h + 1) % variable_hash_size;
            variable_hash[h] = i + 1;
        }
    }
    size_t h = hash_of(identifier, 0) % variable_hash_size;
    for (; variable_hash[h]; h = (h + 1) % variable_hash_size)
        if (strcmp(variables[variable_hash[h] - 1].identifier, identifier) == 0)
            return &variables[variable_hash[h] - 1];
    if (!width) return NULL;
    if (variable_count == variable_room) variables = grow(variables, &variable_room, sizeof *variables);
    variable *v = &variables[variable_count++];
    variable_hash[h] = variable_count;
    if (strlen(identifier) >= IDENTIFIER) die("an identifier longer than expected", identifier);
    strcpy(v->identifier, identifier);
    v->width = width;
    v->first_bit = (int)bit_count;
    for (int i = 0; i < width; i++) {
        if (bit_count == bit_room) bits = grow(bits, &bit_room, sizeof *bits);
        memset(&bits[bit_count], 0, sizeof *bits);
        bits[bit_count].now = bits[bit_count].at_start = -1;
        bit_count++;
    }
    return v;
}

static void declare(const char *line) {
    char type[32], identifier[64], name[256];
    int width;
    if (sscanf(line, "$var %31s %d %63s %255s", type, &width, identifier, name) != 4 || width < 1) return;
    if (strcmp(type, "parameter") == 0 || strcmp(type, "real") == 0) return;
    variable *v = find_variable(identifier, width);
    for (int i = 0; i < width && i < v->width; i++) {
        const net_energy *n = find_net(name, i);
        if (!n) continue;
        if (declaration_count == declaration_room)
            declarations = grow(declarations, &declaration_room, sizeof *declarations);
        declarations[declaration_count++] = (declared){(size_t)(n - nets), v->first_bit + i};
        bit *b = &bits[v->first_bit + i];
        b->counts = true;
        for (int edge = 0; edge < 2; edge++)
            for (int k = 0; k < parts; k++) {
                b->pj[edge][k] += n->pj[edge][k];
                b->total[edge] += n->pj[edge][k];
            }
    }
}

static void change(int index, char value) {
    bit *b = &bits[index];
    signed char next = value == '0' ? 0 : value == '1' ? 1 : -1;
    if (!b->counts || next == b->now) return;
    if (!b->touched) {
        b->touched = true;
        if (touched_count == touched_room) touched = grow(touched, &touched_room, sizeof *touched);
        touched[touched_count++] = (size_t)index;
    }
    if (next >= 0 && b->now >= 0) {
        int edge = next ? 0 : 1;
        for (int k = 0; k < parts; k++) row[k] += b->pj[edge][k];
        row[parts + 1] += 1;
        b->transitions++;
    }
    b->now = next;
}

static void end_cycle(FILE *out) {
    for (size_t i = 0; i < touched_count; i++) {
        bit *b = &bits[touched[i]];
        if (b->at_start >= 0 && b->now >= 0 && b->at_start != b->now) row[parts] += b->total[b->now ? 0 : 1];
        b->at_start = b->now;
        b->touched = false;
    }
    touched_count = 0;
    if (fwrite(row, sizeof *row, (size_t)parts + 2, out) != (size_t)parts + 2) die("writing failed", "");
    memset(row, 0, sizeof row);
}

static void change_vector(char *line) {
    char *identifier = strchr(line, ' ');
    if (!identifier) return;
    *identifier++ = 0;
    const variable *v = find_variable(identifier, 0);
    if (!v) return;
    int given = (int)strlen(line + 1);
    char fill = line[1] == 'x' || line[1] == 'z' ? line[1] : '0';
    for (int i = 0; i < v->width; i++) change(v->first_bit + i, i < given ? line[given - i] : fill);
}

static void write_transitions(const char *path) {
    for (size_t i = 0; i < declaration_count; i++)
        nets[declarations[i].net].transitions += bits[declarations[i].bit].transitions;
    FILE *f = fopen(path, "w");
    if (!f) die("cannot write", path);
    for (size_t i = 0; i < net_count; i++)
        fprintf(f, "%s %d %lld\n", nets[i].name, nets[i].index, nets[i].transitions);
    if (fclose(f)) die("writing failed", path);
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) die("usage: vcd_energy ENERGIES PERIOD_PS OUT [TRANSITIONS] < dump.vcd", "");
    read_energies(argv[1]);
    long long period = atoll(argv[2]), cycle = 0;
    if (period < 1) die("PERIOD_PS is not a positive number", argv[2]);
    FILE *out = fopen(argv[3], "wb");
    if (!out) die("cannot write", argv[3]);
    static char line[LINE];
    bool declaring = true;
    while (fgets(line, sizeof line, stdin)) {
        char *end = strpbrk(line, "\r\n");
        if (end) *end = 0;
        if (declaring) {
            char *at = line + strspn(line, " \t");
            if (strncmp(at, "$var", 4) == 0) declare(at);
            if (strncmp(at, "$enddefinitions", 15) == 0) declaring = false;
        } else if (line[0] == '#') {
            for (long long now = atoll(line + 1) / period; cycle < now; cycle++) end_cycle(out);
        } else if (line[0] == 'b') {
            change_vector(line);
        } else if (line[0] && strchr("01xz", line[0])) {
            const variable *v = find_variable(line + 1, 0);
            if (v) change(v->first_bit, line[0]);
        }
    }
    end_cycle(out);
    if (fclose(out)) die("writing failed", argv[3]);
    if (declaring) die("no declarations in the dump", "");
    if (argc == 5) write_transitions(argv[4]);
    return 0;
}
