#ifndef CRN_RESIDUE_H
#define CRN_RESIDUE_H
/*
 * What popped frames left on a stack, told from data that its owner keeps at the low end.
 */
#include "snap/snap.h"

/*
 * Where in [low, sp) of a parked stack popped frames begin for certain: from `sp` down as long as
 * return addresses lie as close together as frames have them.  `sp` where there are none, or so few
 * that they may be a saved context's.  Reads what of the stack was touched.
 */
uintptr_t crn_residue_start(const struct crn_snap *snap, uintptr_t low, uintptr_t sp);

#endif
