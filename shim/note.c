/*
 * What libcoroner.so says of itself in its file: which Coroner it is, for whoever wants to ask a
 * process that has it mapped (live/ask.h).
 */
#include "live/ask.h"
#include "record/format.h"

#include <elf.h>

static const struct {
    Elf64_Nhdr head;
    char name[sizeof CRN_ASK_NOTE_NAME];
    struct crn_ask_note note;
} note __attribute__((section(".note.coroner"), used, aligned(4))) = {
    {sizeof CRN_ASK_NOTE_NAME, sizeof(struct crn_ask_note), CRN_ASK_NOTE_TYPE},
    CRN_ASK_NOTE_NAME,
    {CRN_ASK_VERSION, CRN_RECORD_VERSION, CORONER_VERSION}};
_Static_assert(sizeof note.name % 4 == 0, "what follows a name is aligned");
