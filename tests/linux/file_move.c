/* Copying inside the kernel: sendfile, copy_file_range; and making data durable. */
#include "check.h"
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

int main(void)
{
    char text[64] = "";
    put("from", "The quick brown fox jumps over the lazy dog");
    int from = open("from", O_RDONLY), to = open("to", O_RDWR | O_CREAT, 0644), ends[2];
    NEED(pipe(ends) == 0);
    VALUE(sendfile(to, from, 0, 9));
    VALUE(lseek(from, 0, SEEK_CUR));
    off_t offset = 16;
    VALUE(sendfile(to, from, &offset, 3));
    VALUE(offset);
    VALUE(lseek(from, 0, SEEK_CUR));
    show_file("to");
    VALUE(sendfile(ends[1], from, 0, 1000));
    VALUE(sendfile(ends[1], from, 0, 1000));
    VALUE(read(ends[0], text, sizeof text));
    say("%.34s", text);
    VALUE(sendfile(to, from, 0, 0));
    VALUE(sendfile(from, to, 0, 5));
    VALUE(sendfile(to, 99, 0, 5));
    VALUE(sendfile(99, from, 0, 5));
    offset = -1;
    VALUE(sendfile(to, from, &offset, 5));
    VALUE(sendfile(to, from, (off_t *)1, 5));
    VALUE(sendfile(to, ends[0], 0, 5));

    loff_t in = 4, out = 100;
    VALUE(copy_file_range(from, &in, to, &out, 5, 0));
    say("offsets %ld %ld", (long)in, (long)out);
    VALUE(pread(to, text, 5, 100));
    say("%.5s", text);
    VALUE(copy_file_range(from, &in, to, &out, 5, 1));
    VALUE(copy_file_range(99, 0, to, 0, 5, 0));

    OK(fsync(to));
    OK(fdatasync(to));
    OK(fsync(open(".", O_RDONLY)));
    OK(fsync(ends[0]));
    OK(fsync(99));
    OK(syncfs(to));
    OK(syncfs(99));
    sync();

    struct statfs fs;
    struct statvfs vfs;
    IS(statfs(".", &fs) == 0 && fs.f_bsize >= 512 && fs.f_namelen == 255 && fs.f_blocks >= fs.f_bfree);
    IS(fstatfs(to, &fs) == 0 && fs.f_bavail <= fs.f_bfree);
    IS(statvfs("/", &vfs) == 0 && vfs.f_namemax == 255);
    IS(statfs("/proc", &fs) == 0 && fs.f_type == 0x9fa0);
    OK(statfs("missing", &fs));
    OK(fstatfs(99, &fs));
    OK(fstatfs(ends[0], &fs));
    OK(posix_fadvise(to, 0, 0, POSIX_FADV_SEQUENTIAL));
    IS(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL) == ESPIPE);
    IS(posix_fadvise(to, 0, 0, 77) == EINVAL);
    VALUE(syscall(SYS_readahead, from, 0, 100));
    return 0;
}
