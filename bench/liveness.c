/*
 * What a question about a register costs: `liveness first` of a function that was not seen before,
 * its analysis included, `liveness again` of one that was.
 *
 * The functions are libc's, at most 2,000 of them, each asked about rbx from its start on.  The
 * engine is linked in, so this runs without the shim.
 */
#include "bench.h"

#include "base/maps.h"
#include "liveness/liveness.h"

#include <dlfcn.h>

enum { RANGES_MAX = 256, FUNCTIONS_MAX = 2000 };

static struct crn_range ranges[RANGES_MAX];
static struct crn_code code = {ranges, 0};
static uintptr_t starts[FUNCTIONS_MAX];

static bool range_visit(const struct crn_map_entry *entry, void *user)
{
    (void)user;
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[')
        ranges[code.count++] = (struct crn_range){entry->start, entry->end};
    return code.count < RANGES_MAX;
}

/* Functions of the module that holds `address`, from there on. */
static size_t functions_find(uintptr_t address)
{
    struct crn_function function;
    size_t count = 0;
    for (; count < FUNCTIONS_MAX && crn_code_holds(&code, address, 1); address += 16)
        if (crn_function_find(address, &function) && function.end > address) {
            starts[count++] = function.start;
            address = (function.end - 1) & ~(uintptr_t)15;
        }
    return count;
}

int main(int argc, char **argv)
{
    struct crn_decoder decoder;
    void *zydis = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
    REQUIRE(argc == 2 && zydis != NULL);
    *(void **)&decoder.init = dlsym(zydis, "ZydisDecoderInit");
    *(void **)&decoder.decode = dlsym(zydis, "ZydisDecoderDecodeFull");
    REQUIRE(crn_decoder_use(&decoder) && crn_maps_for_each(range_visit, NULL));
    struct crn_liveness_engine *engine = crn_liveness_create(&code);
    REQUIRE(engine != NULL);
    size_t count = functions_find((uintptr_t)dlsym(RTLD_DEFAULT, "abort"));
    REQUIRE(count > 100);
    bool is_again = strcmp(argv[1], "again") == 0;
    unsigned answers[3] = {0}, rounds = is_again ? 20 : 1;
    double began = 0;
    for (unsigned round = 0; round <= rounds; round++) {
        if (round == (is_again ? 1 : 0))
            began = now_ns();
        for (size_t i = 0; i < count && round < rounds + is_again; i++) {
            struct crn_liveness_question question = {
                .pc = starts[i], .place = CRN_PLACE_REGISTER, .reg = CRN_RBX};
            answers[crn_liveness_ask(engine, &question).liveness]++;
        }
    }
    double took = (now_ns() - began) / (double)(count * rounds);
    REQUIRE(answers[CRN_LIVENESS_READ] > 0);
    printf("liveness:%s %.0f ns\n", argv[1], took);
    return 0;
}
