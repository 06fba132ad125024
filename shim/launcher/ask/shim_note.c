/*
 * Which Coroner a process runs under.  See shim_note.h.
 */
#include "shim/launcher/ask/shim_note.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "live/ask.h"
#include "record/format.h"
#include "shim/launcher/ask/inside.h"

bool crn_shim_file_read(struct crn_shim_file *file, const char *line)
{
    unsigned major, minor;
    unsigned long inode;
    if (sscanf(line, "%*x-%*x %*s %*x %x:%x %lu %4095[^\n]", &major, &minor, &inode, file->path) !=
        4)
        return false;
    file->device = makedev(major, minor);
    file->inode = inode;
    return true;
}

/* Opens the file that is mapped; -1: it is no longer at its path, or cannot be opened. */
static int file_open(const struct crn_shim_file *file, int view)
{
    struct stat status;
    int root = openat(view, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = root >= 0 ? crn_inside_open(root, file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY) : -1;
    if (root >= 0)
        close(root);
    if (fd >= 0 &&
        (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
         status.st_ino != file->inode)) { /* overlayfs and btrfs have devices of their own */
        close(fd);
        return -1;
    }
    return fd;
}

/* Finds our note among those of a program header. */
static bool note_find(int fd, const Elf64_Phdr *header, struct crn_ask_note *note)
{
    enum { NOTES_MOST = 4096 };
    char bytes[NOTES_MOST];
    if (header->p_filesz > sizeof bytes ||
        pread(fd, bytes, header->p_filesz, (off_t)header->p_offset) != (ssize_t)header->p_filesz)
        return false;
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= header->p_filesz;) {
        Elf64_Nhdr row;
        memcpy(&row, bytes + at, sizeof row);
        size_t name = at + sizeof row, text = name + ((size_t)row.n_namesz + 3) / 4 * 4;
        size_t next = text + ((size_t)row.n_descsz + 3) / 4 * 4;
        if (next > header->p_filesz || next <= at)
            return false;
        if (row.n_type == CRN_ASK_NOTE_TYPE && row.n_namesz == sizeof CRN_ASK_NOTE_NAME &&
            memcmp(bytes + name, CRN_ASK_NOTE_NAME, row.n_namesz) == 0 &&
            row.n_descsz >= sizeof *note) {
            memcpy(note, bytes + text, sizeof *note);
            note->coroner[sizeof note->coroner - 1] = 0;
            return true;
        }
        at = next;
    }
    return false;
}

static bool note_read(int fd, struct crn_ask_note *note)
{
    Elf64_Ehdr file;
    if (pread(fd, &file, sizeof file, 0) != (ssize_t)sizeof file ||
        memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 || file.e_ident[EI_CLASS] != ELFCLASS64 ||
        file.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    for (unsigned i = 0; i < file.e_phnum; i++) {
        Elf64_Phdr header;
        off_t at = (off_t)(file.e_phoff + i * sizeof header);
        if (pread(fd, &header, sizeof header, at) != (ssize_t)sizeof header)
            return false;
        if (header.p_type == PT_NOTE && note_find(fd, &header, note))
            return true;
    }
    return false;
}

bool crn_shim_file_is_understood(const struct crn_shim_file *file, int view, char *why,
                                 size_t why_bytes)
{
    struct crn_ask_note note;
    int fd = file_open(file, view);
    if (fd < 0)
        return true; /* as far as we can tell */
    bool has_note = note_read(fd, &note);
    close(fd);
    if (!has_note)
        snprintf(why, why_bytes,
                 "runs under a Coroner that cannot be asked yet (%s); restart it under this one",
                 file->path);
    else if (note.ask_version != CRN_ASK_VERSION || note.record_version != CRN_RECORD_VERSION)
        snprintf(why, why_bytes,
                 "runs under Coroner %s, this is " CORONER_VERSION
                 ": ask by the `coroner` that belongs to %s",
                 note.coroner, file->path);
    else
        return true;
    return false;
}
