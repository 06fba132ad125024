#ifndef CRN_SHIM_AIO_H
#define CRN_SHIM_AIO_H
/*
 * io_setup, io_destroy and io_submit, as programs and libaio make them: by syscall(2).
 */
#include "base/base.h"

/* Makes the call of these words, the number first, and notes it (snap/aio.h).  Answers as the
 * kernel. */
long crn_aio_call(const long *words);

#endif
