/*
 * Any bytes as a recording, read and rendered in both formats.
 *
 * A fuzzer does not guess a checksum, so the header's first fields are made true before the reader
 * sees them: what is left to survive is everything that a forged file can say.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "record/reader.h"
#include "report/render.h"

static void render(const struct crn_recording *recording)
{
    struct crn_suppressions *suppressions = crn_suppressions_create();
    bool is_page = recording->process->pid % 2 == 0;
    struct crn_report *report = crn_report_create(suppressions, !is_page);
    FILE *nowhere = fopen("/dev/null", "w");
    report->has_objects = report->has_suppressions = true;
    crn_report_add(report, recording);
    crn_report_finish(report);
    crn_report_write_text(report, nowhere, true);
    crn_report_write_json(report, nowhere);
    crn_report_is_bad(report, true);
    fclose(nowhere);
    crn_report_destroy(report);
    crn_suppressions_destroy(suppressions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crn_recording recording;
    struct crn_record_header header = {0};
    char message[512];
    unsigned char *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    if (size >= sizeof header) {
        const size_t sum_from = offsetof(struct crn_record_header, sections);
        memcpy(&header, bytes, sizeof header);
        memcpy(header.magic, CRN_RECORD_MAGIC, sizeof header.magic);
        header.version = CRN_RECORD_VERSION;
        header.header_bytes = sizeof header;
        header.total_bytes = size;
        header.checksum = crn_record_checksum(bytes + sum_from, size - sum_from);
        memcpy(bytes, &header, sizeof header);
    }
    if (crn_record_adopt(bytes, size, "fuzzed", &recording, message, sizeof message) != CRN_OK)
        return 0;
    render(&recording);
    crn_record_close(&recording);
    return 0;
}
