/*
 * Ten thousand ucontext coroutines under a round-robin scheduler, as a server runs its sessions:
 * each keeps a session, and for every request parses the text, looks things up (which suspends),
 * composes the answer, sends it (which suspends), and frees what it made.
 */
#include "workload.h"

#include <sys/mman.h>
#include <ucontext.h>

enum { COROUTINES = 10000, STACK_BYTES = 16384, FIELDS_MAX = 8, REQUESTS = 25 };

struct field {
    char *name, *value;
};

struct request {
    char *path;
    struct field fields[FIELDS_MAX];
    int count;
};

struct session {
    ucontext_t context;
    char *stack, *last_path;
    size_t number, requests;
    uint64_t dice, sum;
    int is_done;
};

static struct session **sessions;
static ucontext_t scheduler;
static struct session *current;

static void suspend(struct session *self)
{
    swapcontext(&self->context, &scheduler);
}

/* What a client sent: a path and a few fields. */
static void request_receive(struct session *self, char *text, size_t text_bytes)
{
    int count = 2 + (int)roll_below(&self->dice, FIELDS_MAX - 2);
    size_t used = (size_t)snprintf(text, text_bytes, "/item/%u/%u\n", roll(&self->dice) & 0xfff,
                                   roll(&self->dice));
    for (int i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, text_bytes - used, "field-%d: %x\n", i,
                                 roll(&self->dice));
}

static char *text_copy(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    REQUIRE(copy != NULL);
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}

NOINLINE static struct request *request_parse(const char *text)
{
    struct request *request = calloc(1, sizeof *request);
    size_t length = strcspn(text, "\n");
    REQUIRE(request != NULL);
    request->path = text_copy(text, length);
    for (text += length + 1; *text != 0 && request->count < FIELDS_MAX; text += length + 1) {
        struct field *field = &request->fields[request->count++];
        size_t colon = strcspn(text, ":");
        length = strcspn(text, "\n");
        field->name = text_copy(text, colon);
        field->value = text_copy(text + colon + 2, length - colon - 2);
    }
    return request;
}

NOINLINE static char *answer_compose(const struct session *self, const struct request *request)
{
    size_t room = 64, used;
    char *answer = malloc(room);
    REQUIRE(answer != NULL);
    used = (size_t)snprintf(answer, room, "session %zu: %s\n", self->number, request->path);
    for (int i = 0; i < request->count; i++) {
        const struct field *field = &request->fields[i];
        size_t more = strlen(field->name) + strlen(field->value) + 4;
        if (used + more > room)
            REQUIRE((answer = realloc(answer, room = 2 * room + more)) != NULL);
        used += (size_t)sprintf(answer + used, "%s=%s;", field->value, field->name);
    }
    return answer;
}

static void request_free(struct request *request)
{
    for (int i = 0; i < request->count; i++) {
        free(request->fields[i].name);
        free(request->fields[i].value);
    }
    free(request->path);
    free(request);
}

NOINLINE static void request_handle(struct session *self)
{
    char text[512];
    request_receive(self, text, sizeof text);
    struct request *request = request_parse(text);
    suspend(self);
    char *answer = answer_compose(self, request);
    suspend(self);
    for (const char *at = answer; *at != 0; at++)
        self->sum = self->sum * 31 + (unsigned char)*at;
    free(self->last_path);
    self->last_path = text_copy(request->path, strlen(request->path));
    free(answer);
    request_free(request);
}

static void session_run(void)
{
    struct session *self = current;
    for (size_t i = 0; i < self->requests; i++)
        request_handle(self);
    self->is_done = 1;
    suspend(self);
}

static struct session *session_create(size_t number, size_t requests)
{
    struct session *self = calloc(1, sizeof *self);
    REQUIRE(self != NULL);
    self->number = number;
    self->requests = requests;
    self->dice = 88172645463325252u + number;
    self->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    REQUIRE(self->stack != MAP_FAILED && getcontext(&self->context) == 0);
    self->context.uc_stack.ss_sp = self->stack;
    self->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&self->context, session_run, 0);
    return self;
}

static uint64_t session_end(struct session *self)
{
    uint64_t sum = self->sum;
    munmap(self->stack, STACK_BYTES);
    free(self->last_path);
    free(self);
    return sum;
}

int main(int argc, char **argv)
{
    size_t requests = scaled(argc, argv, REQUESTS), running = COROUTINES;
    uint64_t sum = 0;
    sessions = calloc(COROUTINES, sizeof(struct session *));
    REQUIRE(sessions != NULL);
    for (size_t i = 0; i < COROUTINES; i++)
        sessions[i] = session_create(i, requests);
    while (running > 0) {
        for (size_t i = 0; i < COROUTINES; i++) {
            if ((current = sessions[i]) == NULL)
                continue;
            swapcontext(&scheduler, &current->context);
            if (current->is_done) {
                sum += session_end(current);
                sessions[i] = NULL;
                running--;
            }
        }
    }
    current = NULL;
    free(sessions);
    sum_print("coro10k", sum);
    return 0;
}
