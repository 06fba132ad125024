/*
 * Finds the relocation of a slot in the procedure linkage table.  See unbound.h.
 *
 *     call abort@plt  -->  jmp *slot(%rip)        slot: still leads back into the table
 *                                |
 *                  a row of DT_JMPREL with r_offset = slot names the symbol
 */
#include "coro/unbound.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <link.h>

/* The slot that a stub jumps through; 0: it is no stub. */
static uintptr_t slot_of(const struct crn_code *code, uintptr_t target)
{
    struct crn_instruction instruction;
    for (unsigned i = 0; i < 2; i++, target += instruction.bytes) {
        if (!crn_instruction_decode(code, target, &instruction))
            return 0;
        if (instruction.flow == CRN_FLOW_JUMP && instruction.target == 0 &&
            instruction.memory_count == 1 && instruction.memory[0].base == CRN_REG_NONE &&
            instruction.memory[0].index == CRN_REG_NONE)
            return (uintptr_t)instruction.memory[0].displacement;
        if (!instruction.is_nop)
            return 0;
    }
    return 0;
}

const char *crn_unbound_name(const struct crn_code *code, uintptr_t target)
{
    struct dl_find_object module;
    uintptr_t slot = slot_of(code, target), leads;
    if (slot == 0 || !crn_memory_read(&leads, slot, sizeof leads) ||
        _dl_find_object((void *)slot, &module) != 0 ||
        leads - (uintptr_t)module.dlfo_map_start >=
            (uintptr_t)module.dlfo_map_end - (uintptr_t)module.dlfo_map_start)
        return NULL;
    const ElfW(Rela) *rows = NULL;
    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    size_t bytes = 0;
    for (const ElfW(Dyn) *entry = module.dlfo_link_map->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_JMPREL:
            rows = (const ElfW(Rela) *)entry->d_un.d_ptr;
            break;
        case DT_PLTRELSZ:
            bytes = entry->d_un.d_val;
            break;
        case DT_SYMTAB:
            symbols = (const ElfW(Sym) *)entry->d_un.d_ptr;
            break;
        case DT_STRTAB:
            strings = (const char *)entry->d_un.d_ptr;
            break;
        default:
            break;
        }
    }
    if (rows == NULL || symbols == NULL || strings == NULL)
        return NULL;
    for (size_t i = 0; i < bytes / sizeof *rows; i++)
        if (module.dlfo_link_map->l_addr + rows[i].r_offset == slot)
            return strings + symbols[ELF64_R_SYM(rows[i].r_info)].st_name;
    return NULL;
}
