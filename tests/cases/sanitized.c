/*
 * A program with a sanitizer runs unwatched, with one line that says so, and otherwise as without
 * Coroner: the same status, and the same words but for addresses and process ids.  How the runtime
 * came in makes no difference: as a library, linked in, or preloaded; nor how the program was
 * started.  UndefinedBehaviorSanitizer has no allocator, and is watched.
 *
 * BUILD: once
 * RUN:    . ${SOURCE%.c}.sh; compare gcc -fsanitize=address
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=address -xc - -o p && ./p # gcc has no AddressSanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with AddressSanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    . ${SOURCE%.c}.sh; compare gcc -fsanitize=address -static-libasan
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=address -static-libasan -xc - -o p && ./p # gcc has no AddressSanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with AddressSanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    . ${SOURCE%.c}.sh; compare gcc -fsanitize=thread
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=thread -xc - -o p && ./p # gcc has no ThreadSanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with ThreadSanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    . ${SOURCE%.c}.sh; compare gcc -fsanitize=thread -static-libtsan
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=thread -static-libtsan -xc - -o p && ./p # gcc has no ThreadSanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with ThreadSanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    . ${SOURCE%.c}.sh; compare gcc -fsanitize=leak
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=leak -xc - -o p && ./p # gcc has no LeakSanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with LeakSanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    . ${SOURCE%.c}.sh; compare clang -fsanitize=address
 * NEEDS:  echo 'int main(){}' | clang -fsanitize=address -xc - -o p && ./p # clang has no AddressSanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with AddressSanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    . ${SOURCE%.c}.sh; compare clang -fsanitize=thread
 * NEEDS:  echo 'int main(){}' | clang -fsanitize=thread -xc - -o p && ./p # clang has no ThreadSanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with ThreadSanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    . ${SOURCE%.c}.sh; compare clang -fsanitize=memory
 * NEEDS:  echo 'int main(){}' | clang -fsanitize=memory -xc - -o p && ./p # clang has no MemorySanitizer
 * EXPECT: stdout     /^run: status 0 from plain\npreload: status 0 from plain\n(it runs with MemorySanitizer; running it without Coroner\n){2}$/
 *
 * RUN:    gcc -w -pthread $SOURCE -o prog; \
 *         for runtime in $(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libtsan.so); do \
 *         export LSAN_OPTIONS=detect_leaks=0; \
 *         (LD_PRELOAD=$SHIM:$runtime exec ./prog); echo $?; \
 *         (LD_PRELOAD=$runtime:$SHIM exec ./prog); echo $?; \
 *         (LD_PRELOAD=$runtime; export LD_PRELOAD; exec coroner run ./prog); echo $?; done
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=thread -xc - -o p && ./p # gcc has no sanitizers
 * EXPECT: stdout     /^(hello\n3\n){6}$/
 * EXPECT: stderr-lines 6
 * EXPECT: stderr     /prog cannot be watched: it runs with AddressSanitizer; running it without/
 *
 * RUN:    gcc -w -pthread -fsanitize=thread $SOURCE -o prog; echo "#!$PWD/prog" >script; chmod +x *; \
 *         gcc -w -pthread $SOURCE -o unsanitized; coroner run ./script; echo $?; \
 *         coroner run -f json -o report.json sh -c './prog; ./script; ./unsanitized lose; exit 5'; echo $?; \
 *         (LD_PRELOAD=$SHIM exec ./script); echo $?
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=thread -xc - -o p && ./p # gcc has no sanitizers
 * EXPECT: stdout     /^hello\n3\nhello\nhello\nhello\n23\nhello\n3\n$/
 * EXPECT: stderr-lines 4
 * EXPECT: lost       in=child blocks=1 bytes=485 allocated_in=make_letter
 *
 * RUN:    for sanitizer in address thread; do gcc -w -pthread -fsanitize=$sanitizer $SOURCE -o prog \
 *         -Wl,--no-as-needed -L$(dirname $SHIM) -lcoroner -Wl,-rpath,$(dirname $SHIM); ./prog; echo $?; done
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=thread -xc - -o p && ./p # gcc has no sanitizers
 * EXPECT: stdout     /^(hello\n3\n){2}$/
 * EXPECT: stderr-lines 2
 *
 * RUN:    gcc -g -w -pthread -fsanitize=undefined $SOURCE -o prog; \
 *         coroner run -f json -o report.json ./prog undefined
 * NEEDS:  echo 'int main(){}' | gcc -fsanitize=undefined -xc - -o p && ./p # gcc has no sanitizers
 * EXPECT: stderr     /runtime error: signed integer overflow/
 * EXPECT: lost       blocks=1 bytes=485 allocated_in=make_letter
 * EXPECT: exit       status=23
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int shared;
static char *volatile letter;

__attribute__((noinline)) static char *make_letter(void)
{
    return malloc(485);
}

static void *count(void *unused)
{
    shared++;
    return unused;
}

/* One race, with the thread first; a word that nobody wrote; a byte too far. */
static void be_faulty(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, count, NULL);
    usleep(200000);
    shared++;
    pthread_join(thread, NULL);
    if (letter[7] == 'x')
        puts("an x");
    letter[485] = 'x';
}

int main(int argc, char **argv)
{
    volatile int most = INT_MAX;
    const char *how = argc > 1 ? argv[1] : "";
    letter = make_letter();
    puts("hello");
    fflush(stdout);
    if (strcmp(how, "undefined") == 0)
        most++;
    if (strcmp(how, "faulty") == 0)
        be_faulty();
    if (strcmp(how, "undefined") == 0 || strcmp(how, "lose") == 0)
        letter = NULL;
    return 3;
}
