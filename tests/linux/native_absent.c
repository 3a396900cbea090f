/* Calls that only AIOS has, and that it does not have yet either: each number is unknown, here as there. */
#include "check.h"

#define NATIVE 0x61690000l

/* AgentSpawn, AgentKill, AgentFreeze, AgentThaw, AgentInfo, AgentList, AgentWait: there in AIOS, so not asked for here. */
static int is_there(long number)
{
    return number == 1 || number == 4 || number == 37 || number == 38 || (number >= 41 && number <= 43);
}

int main(void)
{
    int unknown = 0;
    for (long number = 0; number <= 0xffff; number++) {
        if (is_there(number))
            continue;
        long result = syscall(NATIVE | number, -1l, -1l, -1l, -1l, -1l, -1l);
        if (result == -1 && errno == ENOSYS)
            unknown++;
        else
            say("call %ld: %ld %s", number, result, error_name(errno));
    }
    say("unknown: %d of %d", unknown, 0x10000 - 7);
    /* Past the range of native numbers, on both sides. */
    VALUE(syscall(NATIVE - 1));
    VALUE(syscall(NATIVE + 0x10000));
    return 0;
}
