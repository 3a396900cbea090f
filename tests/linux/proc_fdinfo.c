/* /proc/self/fdinfo of the very file that is read: its position is looked at from within its own read. */
#include "check.h"

int main(void)
{
    char text[256];
    int data = open("/proc/self/exe", O_RDONLY), info;
    lseek(data, 123, SEEK_SET);
    snprintf(text, sizeof text, "/proc/self/fdinfo/%d", data);
    info = open(text, O_RDONLY);
    NEED(info >= 0);
    ssize_t count = read(info, text, sizeof text - 1);
    IS(count > 8 && !memcmp(text, "pos:\t123\n", 9));
    /* From here on the text is about the file itself. */
    IS(dup2(info, data) == data);
    IS(lseek(data, 0, SEEK_SET) == 0);
    count = read(data, text, sizeof text - 1);
    IS(count > 6 && !memcmp(text, "pos:\t0\n", 7));
    return 0;
}
