#ifndef CRN_SYM_SYMBOLS_H
#define CRN_SYM_SYMBOLS_H
/*
 * Finds the symbol around an address.
 *
 * libdw would compare an address with every symbol of the module, at each question; with the
 * hundred thousand symbols of a large program that takes milliseconds.  Here they are sorted once.
 */
#include <elfutils/libdwfl.h>

#include "base/base.h"

struct crn_symbols;

/* An index over the symbol tables of `module`, which must outlive it. */
struct crn_symbols *crn_symbols_create(Dwfl_Module *module);
void crn_symbols_destroy(struct crn_symbols *symbols);

/*
 * The name of the function, or else of the variable, that covers `address`, and how far into it
 * that is; NULL when no symbol does.  The name belongs to the module.
 */
const char *crn_symbols_find_code(const struct crn_symbols *symbols, uint64_t address,
                                  uint64_t *offset);
const char *crn_symbols_find_data(const struct crn_symbols *symbols, uint64_t address,
                                  uint64_t *offset);

#endif
