/* Counts frames: a thousand processes come and go, and every frame they took comes back.
 *
 * Each process touches a MiB, every other one runs this program again. The first ones fill caches; from then on the
 * machine's free memory must be the same to the frame. Prints "frames: lost N". */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

static long free_frames(void)
{
    struct sysinfo info;
    sysinfo(&info);
    return (long)(info.freeram / 4096);
}

static void processes(int count)
{
    for (int number = 0; number < count; number++) {
        pid_t child = fork();
        if (child == 0) {
            char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memset(memory, 1, 1 << 20);
            if (number % 2)
                execl("/proc/self/exe", "frames", "child", (char *)NULL);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    processes(600);
    long before = free_frames();
    processes(1000);
    printf("frames: lost %ld\n", before - free_frames());
    return 0;
}
