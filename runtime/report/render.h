#ifndef CRN_REPORT_RENDER_H
#define CRN_REPORT_RENDER_H
/*
 * The formats of a report.  Both write all of it to `file`; whether that worked is for the caller
 * to ask (ferror, fclose).
 */
#include <stdio.h>

#include "report/model.h"

/* For a person; with `has_color`, terminal colours. */
void crn_report_write_text(const struct crn_report *report, FILE *file, bool has_color);

/* For programs: README.md, "The JSON report, version 1". */
void crn_report_write_json(const struct crn_report *report, FILE *file);

#endif
