#ifndef CRN_SHIM_DECODER_H
#define CRN_SHIM_DECODER_H
/*
 * The library that decodes machine code, for checks that ask which words will be read again.
 */

/*
 * Loads it, the first time; harmless later, and where nobody asks.  Call it where the program could
 * call dlopen itself: never in a check, nor in a handler.  errno is preserved.
 */
void crn_decoder_load(void);

#endif
