/*
 * A 32-bit program cannot load the shim: one line says so, and it runs.  This one has no libc, so
 * that building it needs nothing but the compiler.
 *
 * BUILD: once
 * FLAGS: -m32 -nostdlib -static -fno-pie -no-pie
 * RUN:    coroner run $CASE
 * NEEDS:  $CASE; test $? = 8 # this kernel runs no 32-bit programs
 * EXPECT: stderr       /32/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=8
 */
__asm__(".globl _start\n"
        "_start: mov $1, %eax\n" /* exit(8) */
        "mov $8, %ebx\n"
        "int $0x80\n");
