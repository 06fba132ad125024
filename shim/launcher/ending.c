/*
 * How the program ended, written into recordings.  See ending.h.
 */
#include "shim/launcher/ending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/launcher/output.h"
#include "sym/store.h"

void crn_recording_seal(struct crn_recording *recording)
{
    struct crn_record_header *header = (void *)recording->bytes;
    size_t from = offsetof(struct crn_record_header, sections);
    header->checksum = crn_record_checksum(recording->bytes + from, header->total_bytes - from);
}

void crn_ending_amend(const struct crn_ending *ending, struct crn_recording *recording)
{
    struct crn_record_header *header = (void *)recording->bytes;
    struct crn_record_process *process =
        (void *)(recording->bytes + header->sections[CRN_SECTION_PROCESS].offset);
    if (process->check_kind != CRN_CHECK_END)
        return;
    process->exit_code = ending->exit_code;
    process->exit_signal = ending->signal;
    process->duration_ns = ending->duration_ns;
    crn_recording_seal(recording);
}

/* A recording while it is written: `file` collects its bytes. */
struct writing {
    FILE *file;
    struct crn_record_header header;
};

/* Writes one section, and blanks up to where the next may begin. */
static void section_write(struct writing *writing, enum crn_record_section section,
                          const void *rows, uint64_t count, size_t row_bytes)
{
    static const char blanks[8];
    writing->header.sections[section] =
        (struct crn_record_extent){(uint64_t)ftell(writing->file), count};
    if (count > 0)
        fwrite(rows, row_bytes, count, writing->file);
    fwrite(blanks, 1, (size_t)(-ftell(writing->file) & 7), writing->file);
}

/* Adds a text to the strings; answers its offset. */
static uint32_t string_add(FILE *strings, const char *text)
{
    uint32_t offset = (uint32_t)ftell(strings);
    fwrite(text, 1, strlen(text) + 1, strings);
    return offset;
}

void crn_ending_record(const struct crn_ending *ending, const char *path, char *const *argv,
                       const char *warning, struct crn_recording *recording)
{
    struct writing writing = {.header = {.magic = CRN_RECORD_MAGIC,
                                         .version = CRN_RECORD_VERSION,
                                         .header_bytes = sizeof writing.header}};
    struct timespec now;
    char *strings_bytes, *bytes, message[256];
    size_t strings_count, count;
    FILE *strings = open_memstream(&strings_bytes, &strings_count);
    writing.file = open_memstream(&bytes, &count);
    uint32_t argc = 0;
    while (argv[argc] != NULL)
        argc++;
    uint32_t *arguments = calloc(argc + 1, sizeof *arguments);
    if (strings == NULL || writing.file == NULL || arguments == NULL)
        crn_out_of_memory();
    clock_gettime(CLOCK_REALTIME, &now);
    fputc(0, strings);
    struct crn_record_process process = {
        .pid = (uint32_t)ending->pid,
        .parent_pid = (uint32_t)getpid(),
        .exe = string_add(strings, path),
        .flags = CRN_PROCESS_FIRST,
        .exit_code = ending->exit_code,
        .exit_signal = ending->signal,
        .started_unix_ns =
            (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - ending->duration_ns,
        .duration_ns = ending->duration_ns,
        .check_number = 1,
        .predicted_pause_ns = UINT64_MAX,
    };
    uint32_t warning_string = string_add(strings, warning);
    for (uint32_t i = 0; i < argc; i++)
        arguments[i] = string_add(strings, argv[i]);
    if (fclose(strings) != 0)
        crn_out_of_memory();
    fwrite(&writing.header, sizeof writing.header, 1, writing.file);
    section_write(&writing, CRN_SECTION_PROCESS, &process, 1, sizeof process);
    section_write(&writing, CRN_SECTION_STRINGS, strings_bytes, strings_count, 1);
    section_write(&writing, CRN_SECTION_ARGV, arguments, argc, sizeof *arguments);
    section_write(&writing, CRN_SECTION_WARNINGS, &warning_string, 1, sizeof warning_string);
    for (unsigned section = CRN_SECTION_MODULES; section < CRN_SECTION_COUNT; section++)
        section_write(&writing, section, NULL, 0, 0);
    if (fclose(writing.file) != 0)
        crn_out_of_memory();
    free(strings_bytes);
    free(arguments);
    writing.header.total_bytes = count;
    memcpy(bytes, &writing.header, sizeof writing.header);
    crn_recording_seal(&(struct crn_recording){.bytes = (unsigned char *)bytes});
    if (crn_record_adopt((unsigned char *)bytes, count, path, recording, message, sizeof message) !=
        CRN_OK) {
        crn_say("%s", message); /* our own bytes: this cannot be */
        abort();
    }
}
