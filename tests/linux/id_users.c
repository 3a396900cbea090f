/* User and group ids: reading, changing, giving up, and what cannot be taken back. */
#include "check.h"
#include <grp.h>
#include <sys/fsuid.h>

static void show(const char *what)
{
    uid_t real, effective, saved;
    gid_t greal, geffective, gsaved;
    getresuid(&real, &effective, &saved);
    getresgid(&greal, &geffective, &gsaved);
    say("%s: uid %d %d %d gid %d %d %d", what, real, effective, saved, greal, geffective, gsaved);
}

static int gives_up(void)
{
    OK(setgid(50));
    OK(setuid(60));
    show("given up");
    OK(setuid(0));
    OK(setgid(0));
    OK(seteuid(0));
    OK(setresuid(60, 60, 60));
    OK(setgroups(0, 0));
    return 0;
}

static int comes_back(void)
{
    OK(seteuid(70));
    show("effective only");
    IS(geteuid() == 70 && getuid() == 0);
    OK(seteuid(0));
    show("back");
    OK(setresuid(1, 2, 3));
    show("three of them");
    OK(setresuid(3, 1, 2));
    show("in another order");
    OK(setresuid(-1, 2, -1));
    show("one changed");
    OK(setreuid(-1, 3));
    show("setreuid");
    OK(setresuid(4, -1, -1));
    return 0;
}

int main(void)
{
    show("start");
    IS(getuid() == 0 && geteuid() == 0 && getgid() == 0 && getegid() == 0);
    in_child("gives up", gives_up);
    in_child("comes back", comes_back);

    gid_t groups[8];
    OK(setgroups(3, (gid_t[]){7, 5, 9}));
    VALUE(getgroups(0, 0));
    VALUE(getgroups(8, groups));
    int sum = 0;
    for (int i = 0; i < 3; i++)
        sum += groups[i];
    say("sum of groups %d", sum);
    VALUE(getgroups(2, groups));
    VALUE(getgroups(-1, groups));
    OK(setgroups(70000, groups));
    OK(setgroups(3, (gid_t *)1));
    OK(setgroups(0, 0));
    VALUE(getgroups(8, groups));

    /* A group opens a file that the user may not. */
    put("file", "for the group");
    chown("file", 0, 77);
    chmod("file", 0640);
    pid_t child = fork();
    if (child == 0) {
        setgroups(1, (gid_t[]){77});
        setgid(100);
        setuid(100);
        OK(open("file", O_RDONLY));
        OK(open("file", O_RDWR));
        _exit(0);
    }
    reap("member", child);
    VALUE(setfsuid(33));
    VALUE(setfsuid(0));
    VALUE(setfsgid(-1));
    OK(setresuid(-1, -1, -1));
    show("end");
    return 0;
}
