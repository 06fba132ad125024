/*
 * A library with a frame of FRAME_BYTES: see reload.c.
 */
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

void plugin_call(void (*callback)(void));

/* The long form of the instructions, so that everything lies where it does in the other one. */
__asm__(".text\n\t.globl plugin_call\n\t.type plugin_call, @function\n"
        "plugin_call:\n\t.cfi_startproc\n\t"
        "{disp32} leaq -" TEXT(
            FRAME_BYTES) "(%rsp), %rsp\n\t"
                         ".cfi_adjust_cfa_offset " TEXT(
                             FRAME_BYTES) "\n\t"
                                          "call *%rdi\n\t"
                                          "{disp32} leaq " TEXT(
                                              FRAME_BYTES) "(%rsp), %rsp\n\t"
                                                           ".cfi_adjust_cfa_offset -" TEXT(
                                                               FRAME_BYTES) "\n\tret\n\t"
                                                                            ".cfi_endproc\n\t.size "
                                                                            "plugin_call, "
                                                                            ".-plugin_call");
