/* Libraries loaded while the program runs: found, used, shared, closed; and ones that are not there. */
#include "check.h"
#include <dlfcn.h>

static int loaded(const char *name)
{
    return strstr(slurp("/proc/self/maps"), name) != 0;
}

int main(void)
{
    IS(!loaded("libm.so.6") && !loaded("libresolv.so.2"));
    void *math = dlopen("libm.so.6", RTLD_NOW);
    IS(math != 0 && loaded("libm.so.6"));
    double (*cosine)(double) = (double (*)(double))dlsym(math, "cos");
    double (*power)(double, double) = (double (*)(double, double))dlsym(math, "pow");
    IS(cosine && power);
    if (cosine && power)
        say("cos(0) %.3f, 2^0.5 %.6f", cosine(0), power(2, 0.5));
    IS(dlsym(math, "no_such_function") == 0 && dlerror() != 0);
    IS(dlopen("libm.so.6", RTLD_LAZY) == math);
    Dl_info info;
    IS(dladdr((void *)cosine, &info) && strstr(info.dli_fname, "libm"));
    IS(dlopen("libno-such-library.so", RTLD_NOW) == 0 && strstr(dlerror(), "No such file"));
    put("broken.so", "this is not a library");
    IS(dlopen("./broken.so", RTLD_NOW) == 0 && dlerror() != 0);

    pid_t child = fork();
    if (child == 0)
        _exit((int)cosine(0) + 4);
    reap("used in a child", child);
    IS(dlclose(math) == 0 && dlclose(math) == 0);
    IS(!loaded("libm.so.6"));
    void *again = dlopen("libresolv.so.2", RTLD_LAZY | RTLD_GLOBAL);
    IS(again != 0 && loaded("libresolv.so.2"));
    void *self = dlopen(0, RTLD_NOW);
    IS(self != 0 && dlsym(self, "printf") == dlsym(RTLD_DEFAULT, "printf"));
    return 0;
}
