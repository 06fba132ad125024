/*
 * Any bytes as a JSON report: read, and compared with itself and with nothing in both formats.
 */
#include "fuzz.h"
#include "report/diff.h"
#include "report/read_json.h"

static void compare(const struct crn_report *old, const struct crn_report *new, FILE *nowhere)
{
    const struct crn_diff_names names = {"old", "new", "json", "json"};
    struct crn_store *store = crn_store_create();
    const struct crn_diff *diff = crn_diff_make(store, old, new);
    crn_diff_write_text(diff, &names, 1, nowhere, true);
    crn_diff_write_json(diff, &names, new->frames_written_max, nowhere);
    crn_diff_is_worse(diff, true);
    crn_store_destroy(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crn_suppressions *suppressions = crn_suppressions_create();
    struct crn_report *report = crn_report_create(suppressions, true);
    struct crn_report *nothing = crn_report_create(suppressions, true);
    char message[512];
    if (crn_report_add_json(report, (const char *)data, size, "fuzzed", message, sizeof message) ==
        CRN_OK) {
        FILE *nowhere = fopen("/dev/null", "w");
        crn_report_finish(report);
        compare(report, report, nowhere);
        compare(nothing, report, nowhere);
        compare(report, nothing, nowhere);
        fclose(nowhere);
    }
    crn_report_destroy(report);
    crn_report_destroy(nothing);
    crn_suppressions_destroy(suppressions);
    return 0;
}
