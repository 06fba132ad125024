#ifndef CRN_REPORT_JSON_VALUES_H
#define CRN_REPORT_JSON_VALUES_H
/*
 * The values that JSON of ours is made of.  Lack of memory ends the process (sym/store.h).
 */
#include <jansson.h>

#include "report/model.h"

/* A text as UTF-8; NULL is null. */
json_t *crn_json_text(struct crn_store *store, const char *text);

json_t *crn_json_number(uint64_t value);

/* A leak's id: 16 hexadecimal digits. */
json_t *crn_json_id(uint64_t id);

/* Both take `value` over. */
void crn_json_set(json_t *object, const char *key, json_t *value);
void crn_json_append(json_t *array, json_t *value);

json_t *crn_json_frame(struct crn_store *store, const struct crn_named_frame *frame);

/* A stack, the innermost `frames_max` frames of it (0: all); NULL is null. */
json_t *crn_json_stack(struct crn_store *store, const struct crn_stack *stack, uint32_t frames_max);

#endif
