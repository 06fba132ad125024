/*
 * Where recordings gather during a run, and what the launcher writes into them and keeps.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "make_recording.h"
#include "shim/launcher/ending.h"
#include "shim/launcher/keep.h"
#include "shim/launcher/session.h"

static struct crn_session session;
static struct crn_session_files files;
static char message[256];

static void touch(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", session.directory, name);
    fclose(fopen(path, "w"));
}

Test(session, lists_whole_recordings_by_pid_and_image)
{
    cr_assert(crn_session_open(&session));
    touch("20.1.crn");
    touch("20.0.crn");
    touch("3.0.crn");
    touch("3.1.crn.tmp");
    touch("core");
    crn_session_close(&session, &files);
    cr_assert_eq(files.count, 3u);
    cr_assert_eq(files.rows[0].pid, 3u);
    cr_assert_eq(files.rows[1].image, 0u);
    cr_assert_eq(files.rows[2].image, 1u);
    crn_session_remove(&session, &files, false);
}

Test(session, is_private_and_goes_away)
{
    struct stat status;
    char before[512], after[512];
    cr_assert(crn_session_open(&session));
    snprintf(before, sizeof before, "%s", session.directory);
    cr_assert_eq(stat(before, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0700u);
    crn_session_close(&session, &files);
    cr_assert_neq(access(before, F_OK), 0, "a late process would write here unseen");
    touch("left");
    snprintf(after, sizeof after, "%s", session.directory);
    crn_session_remove(&session, &files, false);
    cr_assert_neq(access(after, F_OK), 0);
}

Test(session, follows_tmpdir_if_it_can)
{
    char parent[] = "/tmp/coroner-session-XXXXXX";
    cr_assert_not_null(mkdtemp(parent));
    setenv("TMPDIR", parent, 1);
    cr_assert(crn_session_open(&session));
    cr_assert_eq(strncmp(session.directory, parent, strlen(parent)), 0);
    crn_session_remove(&session, &files, false);
    rmdir(parent);
    cr_assert(crn_session_open(&session));
    const char *instead = access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : "/tmp/";
    cr_assert_eq(strncmp(session.directory, instead, strlen(instead)), 0);
    crn_session_remove(&session, &files, false);
}

static const struct crn_ending killed = {
    .pid = 99, .exit_code = -1, .signal = 9, .duration_ns = 1500000000};

Test(ending, a_program_that_left_nothing_gets_a_recording)
{
    struct crn_recording recording;
    char *argv[] = {(char *)"prog", (char *)"", (char *)"x", NULL};
    crn_ending_record(&killed, "/bin/prog", argv, "it was killed", &recording);
    cr_assert_eq(recording.process->pid, 99u);
    cr_assert_eq(recording.process->exit_signal, 9);
    cr_assert_eq(recording.process->flags & CRN_PROCESS_CHECKED, 0u);
    cr_assert_eq(recording.counts[CRN_SECTION_ARGV], 3u);
    cr_assert_str_eq(crn_record_text(&recording, recording.argv[2]), "x");
    cr_assert_str_eq(crn_record_text(&recording, recording.warnings[0]), "it was killed");
    crn_record_close(&recording);
}

/* Opens a recording of pid 4711 that does not know how its process ended. */
static void open_example(struct crn_recording *recording)
{
    static struct maker maker;
    maker_init(&maker);
    maker.process.exit_code = -1;
    maker_finish(&maker);
    cr_assert_eq(crn_record_adopt(maker.bytes, maker.bytes_count, "made", recording, message,
                                  sizeof message),
                 CRN_OK, "%s", message);
}

Test(ending, a_recording_of_a_live_check_knows_nothing_of_it)
{
    static struct maker maker;
    struct crn_recording recording;
    maker_init(&maker);
    maker.process.check_kind = CRN_CHECK_LIVE;
    maker.process.exit_code = -1;
    maker.process.duration_ns = 1000000000u;
    maker_finish(&maker);
    cr_assert_eq(crn_record_adopt(maker.bytes, maker.bytes_count, "made", &recording, message,
                                  sizeof message),
                 CRN_OK, "%s", message);
    crn_ending_amend(&killed, &recording);
    cr_assert_eq(recording.process->exit_signal, 0);
    cr_assert_eq(recording.process->duration_ns, 1000000000u);
    crn_record_close(&recording);
}

Test(ending, a_kept_recording_knows_how_the_program_ended)
{
    struct crn_recording recording, kept;
    struct stat status;
    char directory[] = "/tmp/coroner-keep-XXXXXX", pattern[64], path[64];
    cr_assert_not_null(mkdtemp(directory));
    snprintf(pattern, sizeof pattern, "%s/kept", directory);
    open_example(&recording);
    crn_ending_amend(&killed, &recording);
    cr_assert(crn_recording_keep(&recording, pattern, true, 0));
    cr_assert_eq(crn_record_open(pattern, &kept, message, sizeof message), CRN_OK, "%s", message);
    cr_assert_eq(kept.process->exit_signal, 9);
    cr_assert_eq(kept.process->duration_ns, 1500000000u);
    cr_assert_eq(stat(pattern, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0600u);
    unlink(pattern);

    cr_assert(crn_recording_keep(&recording, pattern, false, 0));
    snprintf(path, sizeof path, "%s/kept.4711", directory);
    cr_assert_eq(unlink(path), 0);
    cr_assert(crn_recording_keep(&recording, pattern, true, 2));
    snprintf(path, sizeof path, "%s/kept.2", directory);
    cr_assert_eq(unlink(path), 0);
    snprintf(pattern, sizeof pattern, "%s/%%p.crn", directory);
    cr_assert(crn_recording_keep(&recording, pattern, false, 0));
    snprintf(path, sizeof path, "%s/4711.crn", directory);
    cr_assert_eq(unlink(path), 0);

    cr_redirect_stderr();
    cr_assert(!crn_recording_keep(&recording, "/no/such/place", true, 0));
    cr_assert_eq(rmdir(directory), 0);
    crn_record_close(&recording);
    crn_record_close(&kept);
}
