/*
 * A library with a call at a known place: see jit.c.
 */
void plugin_call(void (*callback)(void));
extern const unsigned plugin_call_offset;

__asm__(".text\n\t.p2align 6\n\t.globl plugin_call\n\t.type plugin_call, @function\n"
        "plugin_call:\n\t.cfi_startproc\n\t"
        "subq $104, %rsp\n\t.cfi_adjust_cfa_offset 104\n\t"
        "nop\n\tnop\n\tnop\n\tnop\n\t"
        "call *%rdi\n"
        ".Lcalled:\n\taddq $104, %rsp\n\t.cfi_adjust_cfa_offset -104\n\tret\n\t"
        ".cfi_endproc\n\t.size plugin_call, .-plugin_call\n\t"
        ".section .rodata\n\t.globl plugin_call_offset\n\t.type plugin_call_offset, @object\n\t"
        ".p2align 2\n\t.size plugin_call_offset, 4\n"
        "plugin_call_offset:\n\t.long .Lcalled - plugin_call\n\t.text");
