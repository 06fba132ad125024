#ifndef CORONER_H
#define CORONER_H
/*
 * What a program may ask of Coroner while it is watched.  C11 and C++17.
 *
 * The functions are weak: a program that uses them links without Coroner and runs with or without
 * it.  Where the shim is not loaded their addresses are NULL, so ask first:
 *
 *     if (coroner_active != NULL && coroner_active())
 *         ...
 */
#define CORONER_VERSION_MAJOR 0
#define CORONER_VERSION_MINOR 1
#define CORONER_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Whether Coroner watches this process: 1, or 0 after it has stood down.  From any thread,
 * coroutine or signal handler; errno is preserved.
 */
int coroner_active(void) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
