#ifndef CRN_LIVENESS_WALK_H
#define CRN_LIVENESS_WALK_H
/*
 * The walk: from a resume address on, is a register or a slot read before it is written?
 */
#include "liveness/frame.h"
#include "liveness/liveness.h"

/* Room for one walk at a time. */
struct crn_walk_room;
struct crn_walk_room *crn_walk_room_create(void); /* NULL: no memory */
void crn_walk_room_destroy(struct crn_walk_room *room);

/*
 * Asks about a register, from node `from` on.  `call` is the node of the call that is under way and
 * returns there, or lets an exception through; CRN_FLOW_NONE: none is.
 */
struct crn_liveness_answer crn_walk_register(struct crn_walk_room *room,
                                             const struct crn_frame_facts *facts, uint32_t from,
                                             uint32_t call, unsigned reg);

/* Asks about the slot at CFA + offset. */
struct crn_liveness_answer crn_walk_slot(struct crn_walk_room *room,
                                         const struct crn_frame_facts *facts, uint32_t from,
                                         uint32_t call, int64_t offset);

#endif
