/*
 * What program is meant, and whether it can be watched.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/launcher/command.h"
#include "shim/launcher/program.h"

static char directory[] = "/tmp/coroner-program-XXXXXX";
static char *found;

static void setup(void)
{
    cr_redirect_stderr();
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
}

static void teardown(void)
{
    char command[64];
    free(found);
    snprintf(command, sizeof command, "/bin/rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(program, .init = setup, .fini = teardown);

static void make_file(const char *name, const void *bytes, size_t count, mode_t mode)
{
    FILE *file = fopen(name, "w");
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
    chmod(name, mode);
}

static void make_text(const char *name, const char *text)
{
    make_file(name, text, strlen(text), 0755);
}

/* An ELF header with one program header of that type, and a loader's name behind it. */
static void make_elf(const char *name, int class, int machine, unsigned type, const char *loader)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr row;
        char loader[64];
    } file = {.header = {.e_ident = ELFMAG,
                         .e_machine = (Elf64_Half)machine,
                         .e_phoff = sizeof(Elf64_Ehdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1},
              .row = {.p_type = type, .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr)}};
    file.header.e_ident[EI_CLASS] = (unsigned char)class;
    file.header.e_ident[EI_DATA] = ELFDATA2LSB;
    strcpy(file.loader, loader);
    make_file(name, &file, sizeof file, 0755);
}

Test(program, a_name_is_looked_for_along_path)
{
    mkdir("bin", 0755);
    make_file("plain", "", 0, 0644);
    make_text("bin/tool", "#!/bin/sh\n");
    setenv("PATH", "/no/such:bin", 1);
    cr_assert_eq(crn_program_find("tool", &found), 0);
    cr_assert_str_eq(found, "bin/tool");
    cr_assert_eq(crn_program_find("plain", &found), CRN_EXIT_NOT_FOUND);
    setenv("PATH", "bin:", 1); /* an empty part is this directory */
    cr_assert_eq(crn_program_find("plain", &found), CRN_EXIT_NOT_EXECUTABLE);
}

Test(program, a_path_is_itself)
{
    make_text("tool", "#!/bin/sh\n");
    cr_assert_eq(crn_program_find("./tool", &found), 0);
    cr_assert_str_eq(found, "./tool");
    cr_assert_eq(crn_program_find("./other", &found), CRN_EXIT_NOT_FOUND);
    cr_assert_eq(crn_program_find("/", &found), CRN_EXIT_NOT_EXECUTABLE);
    cr_assert_eq(crn_program_find("", &found), CRN_EXIT_NOT_FOUND);
}

Test(program, a_dynamic_program_can_be_watched)
{
    make_elf("dynamic", ELFCLASS64, EM_X86_64, PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
    cr_assert_null(crn_program_obstacle("dynamic"));
    cr_assert_null(crn_program_obstacle("/no/such"));
    cr_assert_null(crn_program_obstacle("/bin/sh"));
}

Test(program, what_takes_no_preload_is_told)
{
    make_elf("static", ELFCLASS64, EM_X86_64, PT_LOAD, "");
    cr_assert(strstr(crn_program_obstacle("static"), "static") != NULL);
    make_elf("small", ELFCLASS32, EM_386, PT_INTERP, "");
    cr_assert(strstr(crn_program_obstacle("small"), "32-bit") != NULL);
    make_elf("foreign", ELFCLASS64, EM_AARCH64, PT_INTERP, "");
    cr_assert(strstr(crn_program_obstacle("foreign"), "processor") != NULL);
    make_elf("musl", ELFCLASS64, EM_X86_64, PT_INTERP, "/lib/ld-musl-x86_64.so.1");
    cr_assert(strstr(crn_program_obstacle("musl"), "musl") != NULL);
}

Test(program, a_script_is_as_its_interpreter)
{
    char text[128];
    make_elf("static", ELFCLASS64, EM_X86_64, PT_LOAD, "");
    snprintf(text, sizeof text, "#! %s/static -x\n", directory);
    make_text("script", text);
    cr_assert(strstr(crn_program_obstacle("script"), "static") != NULL);
    make_text("loop", "#!loop\n");
    cr_assert_null(crn_program_obstacle("loop"));
}

Test(program, damaged_headers_are_survived)
{
    Elf64_Ehdr header = {.e_ident = ELFMAG,
                         .e_machine = EM_X86_64,
                         .e_phoff = UINT64_MAX,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 100};
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    make_file("damaged", &header, sizeof header, 0755);
    cr_assert_null(crn_program_obstacle("damaged"));
    make_text("short", ELFMAG);
    cr_assert_null(crn_program_obstacle("short"));
}

Test(program, only_text_is_a_shell_script)
{
    make_text("text", "echo hello\n");
    cr_assert(crn_program_is_script("text"));
    make_file("binary", "\177ELF\0\0\n", 7, 0755);
    cr_assert(!crn_program_is_script("binary"));
    cr_assert(!crn_program_is_script("/no/such"));
}
