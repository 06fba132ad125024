/*
 * Compiles DWARF call frame information into a crn_rule.
 *
 * The sources: .eh_frame and its search table .eh_frame_hdr ("Linux Standard Base Core
 * Specification", Exception Frames), call frame instructions (DWARF 5, section 6.4).  Followed are
 * the CFA, and the columns of the registers that calls keep and of the return address (16): a
 * caller's rsp, rbp and pc need three of them, the others tell where a function saved them.
 *
 * glibc's _dl_find_object finds the module without a lock and in a signal handler.  Unwind
 * information is trusted to be well formed inside its own record; each read is bounded by it.
 */
#include "stack/rules.h"

#include <dlfcn.h>
#include <string.h>

enum { REG_RBX = 3, REG_RBP = 6, REG_RSP = 7, REG_R12 = 12, REG_RA = 16 };
enum { STATES_MAX = 8, NO_LSDA = 0xff };

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t bytes_read(struct reader *reader, size_t count)
{
    uint64_t value = 0;
    if ((size_t)(reader->end - reader->at) < count) {
        reader->failed = true;
        return 0;
    }
    memcpy(&value, reader->at, count);
    reader->at += count;
    return value;
}

static uint64_t uleb_read(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = bytes_read(reader, 1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->failed = true;
    return 0;
}

static int64_t sleb_read(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64;) {
        uint64_t byte = bytes_read(reader, 1);
        value |= (byte & 0x7f) << shift;
        shift += 7;
        if ((byte & 0x80) == 0) {
            if (shift < 64 && (byte & 0x40) != 0)
                value |= ~(uint64_t)0 << shift;
            return (int64_t)value;
        }
    }
    reader->failed = true;
    return 0;
}

/* Reads a pointer in a DW_EH_PE encoding; `data_base` is what "datarel" refers to. */
static uintptr_t encoded_read(struct reader *reader, uint8_t encoding, uintptr_t data_base)
{
    uintptr_t place = (uintptr_t)reader->at;
    uintptr_t value = 0;
    switch (encoding & 0x0f) {
    case 0x00: value = bytes_read(reader, 8); break;                            /* absptr */
    case 0x01: value = uleb_read(reader); break;                                /* uleb128 */
    case 0x02: value = bytes_read(reader, 2); break;                            /* udata2 */
    case 0x03: value = bytes_read(reader, 4); break;                            /* udata4 */
    case 0x04: value = bytes_read(reader, 8); break;                            /* udata8 */
    case 0x09: value = (uintptr_t)sleb_read(reader); break;                     /* sleb128 */
    case 0x0a: value = (uintptr_t)(int16_t)bytes_read(reader, 2); break;        /* sdata2 */
    case 0x0b: value = (uintptr_t)(int64_t)(int32_t)bytes_read(reader, 4); break; /* sdata4 */
    case 0x0c: value = bytes_read(reader, 8); break;                            /* sdata8 */
    default: reader->failed = true; return 0;
    }
    switch (encoding & 0x70) {
    case 0x00: break;
    case 0x10: value += place; break;     /* pcrel */
    case 0x30: value += data_base; break; /* datarel */
    default: reader->failed = true; return 0;
    }
    return value;
}

/* Opens one length-prefixed record; NULL-length terminators fail. */
static struct reader record_open(const uint8_t *start)
{
    struct reader reader = {start, start + 4, false};
    uint64_t length = bytes_read(&reader, 4);
    if (length == 0xffffffff) {
        reader.end = start + 12;
        length = bytes_read(&reader, 8);
    }
    reader.end = reader.at + length;
    reader.failed = length == 0 || length > 1 << 24;
    return reader;
}

struct cie {
    struct reader instructions;
    uint64_t code_align;
    int64_t data_align;
    uint8_t pointer_encoding;
    uint8_t lsda_encoding; /* NO_LSDA: its functions have none */
    bool is_signal, has_augmentation;
};

static bool cie_read(const uint8_t *start, struct cie *cie)
{
    struct reader reader = record_open(start);
    bytes_read(&reader, 4); /* 0: a CIE */
    uint64_t version = bytes_read(&reader, 1);
    const char *augmentation = (const char *)reader.at;
    size_t room = (size_t)(reader.end - reader.at);
    if (reader.failed || strnlen(augmentation, room) == room)
        return false;
    reader.at += strlen(augmentation) + 1;
    memset(cie, 0, sizeof *cie);
    cie->lsda_encoding = NO_LSDA;
    cie->code_align = uleb_read(&reader);
    cie->data_align = sleb_read(&reader);
    uint64_t return_register = version == 1 ? bytes_read(&reader, 1) : uleb_read(&reader);
    if (return_register != REG_RA)
        return false;
    if (augmentation[0] == 'z') {
        cie->has_augmentation = true;
        uint64_t length = uleb_read(&reader);
        const uint8_t *instructions = reader.at + length;
        for (const char *letter = augmentation + 1; *letter != 0; letter++) {
            if (*letter == 'R') {
                cie->pointer_encoding = (uint8_t)bytes_read(&reader, 1);
            } else if (*letter == 'P') {
                uint8_t encoding = (uint8_t)bytes_read(&reader, 1);
                encoded_read(&reader, encoding & 0x0f, 0);
            } else if (*letter == 'L') {
                cie->lsda_encoding = (uint8_t)bytes_read(&reader, 1);
            } else if (*letter == 'S') {
                cie->is_signal = true;
            }
        }
        reader.at = instructions;
    } else if (augmentation[0] != 0) {
        return false;
    }
    if (reader.at > reader.end)
        return false;
    cie->instructions = reader;
    return !reader.failed;
}

enum column { COLUMN_SAME, COLUMN_OFFSET, COLUMN_UNDEFINED, COLUMN_BREG_RBP, COLUMN_OTHER };

struct state {
    uint64_t cfa_register;
    int64_t cfa_offset;
    enum { CFA_REGISTER, CFA_RBP_DEREF, CFA_OTHER, CFA_ELSEWHERE } cfa;
    struct {
        enum column how;
        int64_t offset;
    } rbp, ra, rbx, high[4]; /* high: r12 .. r15 */
};

/* Understands the one shape gcc emits: DW_OP_breg6 n [DW_OP_deref]. */
static bool breg_rbp_read(struct reader *expression, int64_t *offset, bool *has_deref)
{
    if (bytes_read(expression, 1) != 0x76)
        return false;
    *offset = sleb_read(expression);
    *has_deref = expression->at < expression->end && *expression->at == 0x06;
    return !expression->failed && expression->at + *has_deref == expression->end;
}

/* Whether an expression depends on other registers than rsp, rbp and the pc. */
static bool uses_other_registers(struct reader expression)
{
    while (expression.at < expression.end && !expression.failed) {
        uint8_t operation = (uint8_t)bytes_read(&expression, 1);
        bool is_breg = operation >= 0x70 && operation <= 0x8f;
        if (is_breg && operation != 0x70 + REG_RBP && operation != 0x70 + REG_RSP &&
            operation != 0x70 + REG_RA)
            return true;
        if (is_breg || operation == 0x11) /* consts */
            sleb_read(&expression);
        else if (operation == 0x10 || operation == 0x23) /* constu, plus_uconst */
            uleb_read(&expression);
        else if (operation >= 0x08 && operation <= 0x0f) /* const1u .. const8s */
            expression.at += 1 << (operation - 0x08) / 2;
        else if (operation == 0x90 || operation == 0x92) /* regx, bregx */
            return true;
    }
    return false;
}

static void column_set(struct state *state, uint64_t column, enum column how, int64_t offset)
{
    if (column == REG_RBP) {
        state->rbp.how = how;
        state->rbp.offset = offset;
    } else if (column == REG_RA) {
        state->ra.how = how;
        state->ra.offset = offset;
    } else if (column == REG_RBX) {
        state->rbx.how = how;
        state->rbx.offset = offset;
    } else if (column >= REG_R12 && column < REG_RA) {
        state->high[column - REG_R12].how = how;
        state->high[column - REG_R12].offset = offset;
    }
}

static void column_restore(struct state *state, const struct state *initial, uint64_t column)
{
    if (column == REG_RBP)
        state->rbp = initial->rbp;
    else if (column == REG_RA)
        state->ra = initial->ra;
    else if (column == REG_RBX)
        state->rbx = initial->rbx;
    else if (column >= REG_R12 && column < REG_RA)
        state->high[column - REG_R12] = initial->high[column - REG_R12];
}

static struct reader block_read(struct reader *reader)
{
    uint64_t length = uleb_read(reader);
    struct reader block = {reader->at, reader->at + length, false};
    if (length > (size_t)(reader->end - reader->at))
        reader->failed = block.failed = true;
    else
        reader->at += length;
    return block;
}

/* Runs instructions until the row for `address`; `pc` is where the first row starts. */
static bool instructions_run(struct reader reader, const struct cie *cie, uintptr_t pc,
                             uintptr_t address, struct state *state, const struct state *initial)
{
    struct state saved[STATES_MAX];
    unsigned saved_count = 0;
    while (reader.at < reader.end && !reader.failed) {
        uint8_t opcode = (uint8_t)bytes_read(&reader, 1);
        uint64_t operand = opcode & 0x3f;
        switch (opcode & 0xc0) {
        case 0x40: /* advance_loc */
            pc += operand * cie->code_align;
            if (pc > address)
                return true;
            continue;
        case 0x80: /* offset */
            column_set(state, operand, COLUMN_OFFSET, (int64_t)uleb_read(&reader) * cie->data_align);
            continue;
        case 0xc0: /* restore */
            column_restore(state, initial, operand);
            continue;
        }
        switch (opcode) {
        case 0x00: /* nop */
            break;
        case 0x01: /* set_loc */
            pc = encoded_read(&reader, cie->pointer_encoding, 0);
            break;
        case 0x02: /* advance_loc1 */
            pc += bytes_read(&reader, 1) * cie->code_align;
            break;
        case 0x03: /* advance_loc2 */
            pc += bytes_read(&reader, 2) * cie->code_align;
            break;
        case 0x04: /* advance_loc4 */
            pc += bytes_read(&reader, 4) * cie->code_align;
            break;
        case 0x05: /* offset_extended */
            operand = uleb_read(&reader);
            column_set(state, operand, COLUMN_OFFSET, (int64_t)uleb_read(&reader) * cie->data_align);
            break;
        case 0x06: /* restore_extended */
            column_restore(state, initial, uleb_read(&reader));
            break;
        case 0x07: /* undefined */
            column_set(state, uleb_read(&reader), COLUMN_UNDEFINED, 0);
            break;
        case 0x08: /* same_value */
            column_set(state, uleb_read(&reader), COLUMN_SAME, 0);
            break;
        case 0x09: /* register */
            column_set(state, uleb_read(&reader), COLUMN_OTHER, 0);
            uleb_read(&reader);
            break;
        case 0x0a: /* remember_state */
            if (saved_count == STATES_MAX)
                return false;
            saved[saved_count++] = *state;
            break;
        case 0x0b: /* restore_state */
            if (saved_count == 0)
                return false;
            *state = saved[--saved_count];
            break;
        case 0x0c: /* def_cfa */
            state->cfa = CFA_REGISTER;
            state->cfa_register = uleb_read(&reader);
            state->cfa_offset = (int64_t)uleb_read(&reader);
            break;
        case 0x0d: /* def_cfa_register */
            state->cfa = CFA_REGISTER;
            state->cfa_register = uleb_read(&reader);
            break;
        case 0x0e: /* def_cfa_offset */
            state->cfa_offset = (int64_t)uleb_read(&reader);
            break;
        case 0x0f: { /* def_cfa_expression */
            struct reader block = block_read(&reader), expression = block;
            bool has_deref = false;
            if (breg_rbp_read(&expression, &state->cfa_offset, &has_deref) && has_deref)
                state->cfa = CFA_RBP_DEREF;
            else
                state->cfa = uses_other_registers(block) ? CFA_ELSEWHERE : CFA_OTHER;
            break;
        }
        case 0x10: { /* expression: the address where the column was saved */
            uint64_t column = uleb_read(&reader);
            struct reader expression = block_read(&reader);
            int64_t offset = 0;
            bool has_deref = false;
            bool is_plain = breg_rbp_read(&expression, &offset, &has_deref) && !has_deref;
            column_set(state, column, is_plain ? COLUMN_BREG_RBP : COLUMN_OTHER, offset);
            break;
        }
        case 0x11: /* offset_extended_sf */
            operand = uleb_read(&reader);
            column_set(state, operand, COLUMN_OFFSET, sleb_read(&reader) * cie->data_align);
            break;
        case 0x12: /* def_cfa_sf */
            state->cfa = CFA_REGISTER;
            state->cfa_register = uleb_read(&reader);
            state->cfa_offset = sleb_read(&reader) * cie->data_align;
            break;
        case 0x13: /* def_cfa_offset_sf */
            state->cfa_offset = sleb_read(&reader) * cie->data_align;
            break;
        case 0x14: /* val_offset */
        case 0x15: /* val_offset_sf: both operands are LEBs, skipped alike */
            column_set(state, uleb_read(&reader), COLUMN_OTHER, 0);
            uleb_read(&reader);
            break;
        case 0x16: /* val_expression */
            column_set(state, uleb_read(&reader), COLUMN_OTHER, 0);
            block_read(&reader);
            break;
        case 0x2e: /* GNU_args_size */
            uleb_read(&reader);
            break;
        default:
            return false;
        }
        if (opcode >= 0x01 && opcode <= 0x04 && pc > address)
            return true;
    }
    return !reader.failed;
}

/* Finds the record of the function that holds `address`. */
static const uint8_t *fde_find(const uint8_t *header, uintptr_t address)
{
    struct reader reader = {header, header + 64, false};
    uint32_t shape = (uint32_t)bytes_read(&reader, 4);
    if ((shape & 0xff) != 1 || shape >> 24 != 0x3b) /* a table of (datarel | sdata4) pairs */
        return NULL;
    encoded_read(&reader, (shape >> 8) & 0xff, (uintptr_t)header);
    size_t count = encoded_read(&reader, (shape >> 16) & 0xff, (uintptr_t)header);
    if (reader.failed || count == 0)
        return NULL;
    const int32_t(*table)[2] = (const void *)reader.at;
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)header + (uintptr_t)(int64_t)table[middle][0] <= address)
            low = middle;
        else
            high = middle;
    }
    return (uintptr_t)header + (uintptr_t)(int64_t)table[low][0] <= address
               ? header + table[low][1]
               : NULL;
}

static struct crn_rule rule_from(const struct state *state)
{
    struct crn_rule rule = {CRN_RULE_OTHER, CRN_RBP_SAME, 0, 0};
    if (state->ra.how == COLUMN_UNDEFINED) {
        rule.kind = CRN_RULE_END;
        return rule;
    }
    bool is_by_register = state->cfa == CFA_REGISTER && state->cfa_register != REG_RSP &&
                          state->cfa_register != REG_RBP;
    if (is_by_register || state->cfa == CFA_ELSEWHERE) {
        rule.kind = CRN_RULE_ELSEWHERE;
        return rule;
    }
    if (state->ra.how != COLUMN_OFFSET || state->ra.offset != -8 ||
        state->cfa_offset != (int32_t)state->cfa_offset)
        return rule;
    switch (state->rbp.how) {
    case COLUMN_SAME:
    case COLUMN_UNDEFINED:
        break;
    case COLUMN_OFFSET:
    case COLUMN_BREG_RBP:
        if (state->rbp.offset != (int16_t)state->rbp.offset)
            return rule;
        rule.rbp = state->rbp.how == COLUMN_OFFSET ? CRN_RBP_AT_CFA : CRN_RBP_AT_RBP;
        rule.rbp_offset = (int16_t)state->rbp.offset;
        break;
    case COLUMN_OTHER:
        return rule;
    }
    rule.cfa_offset = (int32_t)state->cfa_offset;
    if (state->cfa == CFA_RBP_DEREF)
        rule.kind = CRN_RULE_RBP_DEREF;
    else if (state->cfa == CFA_REGISTER && state->cfa_register == REG_RSP)
        rule.kind = CRN_RULE_RSP;
    else if (state->cfa == CFA_REGISTER && state->cfa_register == REG_RBP)
        rule.kind = CRN_RULE_RBP;
    return rule;
}

/* mov $15,%rax; syscall: the code a signal handler returns to. */
static bool is_sigreturn(uintptr_t address)
{
    static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    return memcmp((const void *)address, code, sizeof code) == 0;
}

/* The record of one function. */
struct fde {
    struct reader instructions;
    struct cie cie;
    uintptr_t start, length;
    uintptr_t lsda; /* language specific data, which tell where exceptions land; 0: none */
};

static bool fde_read(const uint8_t *record, struct fde *fde)
{
    struct reader reader = record_open(record);
    const uint8_t *cie_field = reader.at;
    uint64_t distance = bytes_read(&reader, 4);
    if (reader.failed || distance == 0 || !cie_read(cie_field - distance, &fde->cie))
        return false;
    fde->lsda = 0;
    fde->start = encoded_read(&reader, fde->cie.pointer_encoding, 0);
    fde->length = encoded_read(&reader, fde->cie.pointer_encoding & 0x0f, 0);
    if (fde->cie.has_augmentation) {
        uint64_t skip = uleb_read(&reader);
        const uint8_t *behind = reader.at + skip;
        const uint8_t *field = reader.at;
        uint8_t encoding = fde->cie.lsda_encoding;
        if (skip != 0 && encoding != NO_LSDA) {
            /* A field of zero is none, whatever it is relative to. */
            uintptr_t value = encoded_read(&reader, encoding & 0x0f, 0);
            reader.at = field;
            fde->lsda = value != 0 ? encoded_read(&reader, encoding & 0x7f, 0) : 0;
        }
        reader.at = behind;
    }
    fde->instructions = reader;
    return !reader.failed;
}

bool crn_function_find(uintptr_t address, struct crn_function *function)
{
    struct dl_find_object object;
    struct fde fde;
    if (_dl_find_object((void *)address, &object) != 0 || object.dlfo_eh_frame == NULL)
        return false;
    const uint8_t *record = fde_find(object.dlfo_eh_frame, address);
    if (record == NULL || !fde_read(record, &fde) || fde.start > address)
        return false;
    *function = (struct crn_function){fde.start, fde.start + fde.length,
                                      (uintptr_t)object.dlfo_map_start,
                                      (uintptr_t)object.dlfo_map_end};
    return true;
}

uintptr_t crn_function_lsda(uintptr_t address)
{
    struct dl_find_object object;
    struct fde fde;
    if (_dl_find_object((void *)address, &object) != 0 || object.dlfo_eh_frame == NULL)
        return 0;
    const uint8_t *record = fde_find(object.dlfo_eh_frame, address);
    bool is_read = record != NULL && fde_read(record, &fde) && address >= fde.start &&
                   address - fde.start < fde.length;
    return is_read ? fde.lsda : 0;
}

/* Runs a function's instructions up to `address`. */
static bool state_read(const struct fde *fde, uintptr_t address, struct state *state)
{
    *state = (struct state){REG_RSP, 8, CFA_REGISTER, {0}, {0}, {0}, {{0}}};
    if (!instructions_run(fde->cie.instructions, &fde->cie, 0, UINTPTR_MAX, state, state))
        return false;
    struct state initial = *state;
    return instructions_run(fde->instructions, &fde->cie, fde->start, address, state, &initial);
}

enum crn_saved crn_saved_at(uintptr_t address, unsigned column, int64_t *offset)
{
    struct dl_find_object object;
    struct fde fde;
    struct state state;
    if (_dl_find_object((void *)address, &object) != 0 || object.dlfo_eh_frame == NULL)
        return CRN_SAVED_UNKNOWN;
    const uint8_t *record = fde_find(object.dlfo_eh_frame, address);
    if (record == NULL || !fde_read(record, &fde) || address < fde.start ||
        address - fde.start >= fde.length || fde.cie.is_signal ||
        !state_read(&fde, address, &state))
        return CRN_SAVED_UNKNOWN;
    enum column how = column == REG_RBP                      ? state.rbp.how
                      : column == REG_RBX                    ? state.rbx.how
                      : column >= REG_R12 && column < REG_RA ? state.high[column - REG_R12].how
                                                             : COLUMN_OTHER;
    *offset = column == REG_RBP                      ? state.rbp.offset
              : column == REG_RBX                    ? state.rbx.offset
              : column >= REG_R12 && column < REG_RA ? state.high[column - REG_R12].offset
                                                     : 0;
    return how == COLUMN_OFFSET ? CRN_SAVED_AT
           : how == COLUMN_SAME ? CRN_SAVED_NOT
                                : CRN_SAVED_UNKNOWN;
}

struct crn_rule crn_rule_compile(uintptr_t address)
{
    const struct crn_rule none = {CRN_RULE_NONE, CRN_RBP_SAME, 0, 0};
    const struct crn_rule other = {CRN_RULE_OTHER, CRN_RBP_SAME, 0, 0};
    struct dl_find_object object;
    struct fde fde;

    if (_dl_find_object((void *)address, &object) != 0)
        return none;
    const uint8_t *record =
        object.dlfo_eh_frame != NULL ? fde_find(object.dlfo_eh_frame, address) : NULL;
    if (record != NULL && !fde_read(record, &fde))
        return other;
    if (record == NULL || address < fde.start || address - fde.start >= fde.length)
        return crn_code_keeps_frame_pointer(address + 1)
                   ? (struct crn_rule){CRN_RULE_FRAME, CRN_RBP_SAME, 0, 0}
                   : none;
    if (fde.cie.is_signal) {
        /* The record starts a byte early, so that "return address less one" finds it. */
        struct crn_rule signal = {CRN_RULE_SIGNAL, CRN_RBP_SAME, 0, 0};
        return is_sigreturn(fde.start) || is_sigreturn(fde.start + 1) ? signal : other;
    }
    struct state state;
    return state_read(&fde, address, &state) ? rule_from(&state) : other;
}
