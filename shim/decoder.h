#ifndef CRN_SHIM_DECODER_H
#define CRN_SHIM_DECODER_H
/*
 * The library that decodes machine code, loaded when it may be needed: when a second thread or a
 * coroutine is made.  A program that has neither has nobody who waits with something stale.
 */

/* Loads it, at the first call.  It calls the loader, which allocates: not inside malloc or a check.
 */
void crn_decoder_load(void);

#endif
