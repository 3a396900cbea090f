/* The auxiliary vector and the first stack page of a fresh program. */
#include "check.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
void _start(void);

int main(int count, char **arguments)
{
    (void)count;
    IS(getauxval(AT_PAGESZ) == 4096);
    IS(getauxval(AT_CLKTCK) == 100);
    IS(getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
    const Elf64_Ehdr *header = (const void *)__ehdr_start;
    IS(getauxval(AT_PHNUM) == header->e_phnum);
    IS(getauxval(AT_PHDR) == (uintptr_t)__ehdr_start + header->e_phoff);
    IS(getauxval(AT_ENTRY) == (uintptr_t)_start);
    IS(getauxval(AT_BASE) == 0);
    IS(getauxval(AT_FLAGS) == 0);
    IS(getauxval(AT_UID) == getuid());
    IS(getauxval(AT_EUID) == geteuid());
    IS(getauxval(AT_GID) == getgid());
    IS(getauxval(AT_EGID) == getegid());
    IS(getauxval(AT_SECURE) == 0);
    IS(getauxval(AT_HWCAP) != 0);
    IS(getauxval(AT_SYSINFO_EHDR) != 0 && getauxval(AT_SYSINFO_EHDR) % PAGE == 0);
    const char *platform = (const char *)getauxval(AT_PLATFORM);
    say("platform %s", platform ? platform : "(none)");
    const char *name = (const char *)getauxval(AT_EXECFN);
    const char *slash = name ? strrchr(name, '/') : 0;
    say("program %s", slash ? slash + 1 : "?");

    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    int different = 0;
    for (int i = 1; random && i < 16; i++)
        different += random[i] != random[0];
    IS(different > 3);

    /* argc, argv, environ and the vector follow each other on the stack, strings above them. */
    IS((char *)environ == (char *)(arguments + count + 1));
    char **end = environ;
    while (*end)
        end++;
    ElfW(auxv_t) *vector = (ElfW(auxv_t) *)(end + 1);
    int entries = 0, pagesz = 0;
    for (; vector->a_type != AT_NULL; vector++, entries++)
        pagesz += vector->a_type == AT_PAGESZ && vector->a_un.a_val == 4096;
    IS(pagesz == 1);
    IS(entries >= 15);
    IS((uintptr_t)(arguments - 1) % 16 == 0);
    IS((char *)arguments[0] > (char *)vector);
    IS(random > (unsigned char *)vector);
    return 0;
}
