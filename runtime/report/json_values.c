/*
 * The values of JSON.  See json_values.h.
 */
#include "report/json_values.h"

#include <stdio.h>

#include "report/clean.h"

json_t *crn_json_text(struct crn_store *store, const char *text)
{
    return text == NULL ? json_null() : json_string(crn_clean_utf8(store, text));
}

json_t *crn_json_number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *crn_json_id(uint64_t id)
{
    char digits[20];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)id);
    return json_string(digits);
}

void crn_json_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        crn_out_of_memory();
}

void crn_json_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        crn_out_of_memory();
}

json_t *crn_json_frame(struct crn_store *store, const struct crn_named_frame *frame)
{
    char offset[24];
    json_t *object = json_object();
    snprintf(offset, sizeof offset, "0x%llx", (unsigned long long)frame->offset);
    crn_json_set(object, "function", crn_json_text(store, frame->function));
    crn_json_set(object, "file", crn_json_text(store, frame->file));
    crn_json_set(object, "line", frame->line == 0 ? json_null() : json_integer(frame->line));
    crn_json_set(object, "module", crn_json_text(store, frame->module));
    crn_json_set(object, "build_id", crn_json_text(store, frame->build_id));
    crn_json_set(object, "offset", json_string(offset));
    crn_json_set(object, "inlined", json_boolean(frame->inlined));
    return object;
}

json_t *crn_json_stack(struct crn_store *store, const struct crn_stack *stack, uint32_t frames_max)
{
    if (stack == NULL)
        return json_null();
    json_t *array = json_array();
    for (uint32_t i = 0; i < stack->count && (frames_max == 0 || i < frames_max); i++)
        crn_json_append(array, crn_json_frame(store, stack->frames[i]));
    return array;
}
