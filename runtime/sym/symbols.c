/*
 * Finds the symbol around an address.  See symbols.h.
 *
 * A list is sorted by start, and of several names for one start the best comes last, so the last
 * symbol that starts at or before an address is the first to ask.  When it ends too early, one
 * before it may enclose the address (a table with labels in it), so a few more are asked.
 *
 * Assembler code often has symbols without a size.  Such a one is believed up to the next symbol
 * or the end of its section.
 */
#include "sym/symbols.h"

#include <stdlib.h>
#include <string.h>

#include "sym/store.h"

enum { ENCLOSING_MAX = 8, NAME_COMPARED_MAX = 256 };

struct symbol {
    uint64_t start, end;
    const char *name;
    uint8_t rank; /* how good a name it is, compared with others for the same start */
    bool has_size;
};

struct list {
    struct symbol *rows;
    size_t count, room;
};

struct crn_symbols {
    struct list code, data;
};

static int symbol_compare(const void *a, const void *b)
{
    const struct symbol *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    if (left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    /* Hostile ones share a long tail, so that comparing all of it would take for ever. */
    return left->name == right->name ? 0 : strncmp(right->name, left->name, NAME_COMPARED_MAX);
}

/* Prefers names with a size, then global ones, then those not reserved for libraries. */
static uint8_t rank_of(const GElf_Sym *symbol, const char *name)
{
    int binding = GELF_ST_BIND(symbol->st_info);
    bool is_mangled = strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0;
    return (uint8_t)((symbol->st_size > 0 ? 8 : 0) + (binding == STB_GLOBAL ? 4 : 0) +
                     (binding == STB_WEAK ? 2 : 0) + (*name != '_' || is_mangled ? 1 : 0));
}

/* Where the section that holds a symbol ends, as addresses of the module. */
static uint64_t section_end(Elf *elf, GElf_Word index, GElf_Addr bias)
{
    GElf_Shdr header;
    Elf_Scn *section = elf != NULL ? elf_getscn(elf, index) : NULL;
    if (section == NULL || gelf_getshdr(section, &header) == NULL)
        return 0;
    return header.sh_addr + header.sh_size + bias;
}

static void symbol_add(struct crn_symbols *symbols, Dwfl_Module *module, int index)
{
    GElf_Sym symbol;
    GElf_Addr address, bias;
    GElf_Word section;
    Elf *elf;
    const char *name =
        dwfl_module_getsym_info(module, index, &symbol, &address, &section, &elf, &bias);
    if (name == NULL || *name == 0 || section == SHN_UNDEF)
        return;
    int type = GELF_ST_TYPE(symbol.st_info);
    bool is_data = type == STT_OBJECT && symbol.st_size > 0;
    if (!is_data && type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
        return;
    struct list *list = is_data ? &symbols->data : &symbols->code;
    list->rows = crn_grow(list->rows, list->count, &list->room, sizeof *list->rows);
    list->rows[list->count++] = (struct symbol){
        .start = address,
        .end = symbol.st_size > 0 ? address + symbol.st_size : section_end(elf, section, bias),
        .name = name,
        .rank = rank_of(&symbol, name),
        .has_size = symbol.st_size > 0,
    };
}

struct crn_symbols *crn_symbols_create(Dwfl_Module *module)
{
    struct crn_symbols *symbols = calloc(1, sizeof *symbols);
    if (symbols == NULL)
        crn_out_of_memory();
    int count = dwfl_module_getsymtab(module);
    for (int i = 0; i < count; i++)
        symbol_add(symbols, module, i);
    if (symbols->code.count > 1)
        qsort(symbols->code.rows, symbols->code.count, sizeof(struct symbol), symbol_compare);
    if (symbols->data.count > 1)
        qsort(symbols->data.rows, symbols->data.count, sizeof(struct symbol), symbol_compare);
    return symbols;
}

void crn_symbols_destroy(struct crn_symbols *symbols)
{
    if (symbols == NULL)
        return;
    free(symbols->code.rows);
    free(symbols->data.rows);
    free(symbols);
}

static const char *list_find(const struct list *list, uint64_t address, uint64_t *offset)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->rows[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t asked = 0; asked < ENCLOSING_MAX && asked < low; asked++) {
        const struct symbol *symbol = &list->rows[low - 1 - asked];
        if (address < symbol->end && (symbol->has_size || asked == 0)) {
            *offset = address - symbol->start;
            return symbol->name;
        }
    }
    return NULL;
}

const char *crn_symbols_find_code(const struct crn_symbols *symbols, uint64_t address,
                                  uint64_t *offset)
{
    return list_find(&symbols->code, address, offset);
}

const char *crn_symbols_find_data(const struct crn_symbols *symbols, uint64_t address,
                                  uint64_t *offset)
{
    return list_find(&symbols->data, address, offset);
}
