/* Pipes between processes: blocking both ways, large amounts, many writers, a chain. */
#include "check.h"

static unsigned long mix(unsigned long sum, const unsigned char *data, ssize_t length)
{
    for (ssize_t i = 0; i < length; i++)
        sum = sum * 31 + data[i];
    return sum;
}

int main(void)
{
    static unsigned char block[100000];
    int ends[2], next[2], status;
    /* 4 MiB through a pipe, in pieces that fit nothing. */
    pipe(ends);
    pid_t child = fork();
    unsigned long seed = 12345, sum = 0, other = 0;
    if (child == 0) {
        close(ends[0]);
        for (long left = 4 << 20, piece = 1; left > 0; left -= piece, piece = piece * 7 % 65521) {
            if (piece > left)
                piece = left;
            for (long i = 0; i < piece; i++)
                block[i] = (unsigned char)((seed = seed * 6364136223846793005ul + 1442695040888963407ul) >> 33);
            if (write(ends[1], block, piece) != piece)
                _exit(1);
        }
        _exit(0);
    }
    close(ends[1]);
    long total = 0;
    for (ssize_t got; (got = read(ends[0], block, 30011)) > 0; total += got)
        sum = mix(sum, block, got);
    reap("writer", child);
    seed = 12345;
    for (long i = 0; i < 4 << 20; i++) {
        unsigned char byte = (unsigned char)((seed = seed * 6364136223846793005ul + 1442695040888963407ul) >> 33);
        other = mix(other, &byte, 1);
    }
    say("bytes %ld", total);
    IS(sum == other);
    close(ends[0]);

    /* Six writers of records of 512 bytes: none is torn. */
    pipe(ends);
    for (int i = 0; i < 6; i++)
        if (fork() == 0) {
            memset(block, 'a' + i, 512);
            for (int record = 0; record < 100; record++)
                write(ends[1], block, 512);
            _exit(0);
        }
    close(ends[1]);
    int records = 0, torn = 0;
    for (;;) {
        size_t have = 0;
        ssize_t got;
        while (have < 512 && (got = read(ends[0], block + have, 512 - have)) > 0)
            have += got;
        if (have < 512)
            break;
        records++;
        for (int i = 1; i < 512; i++)
            if (block[i] != block[0]) {
                torn++;
                break;
            }
    }
    say("records %d, torn %d", records, torn);
    while (wait(&status) > 0)
        ;

    /* A chain of eight processes, each adding one. */
    int first[2], input;
    pipe(first);
    input = first[0];
    for (int i = 0; i < 8; i++) {
        pipe(next);
        if (fork() == 0) {
            int value;
            close(first[1]);
            while (read(input, &value, sizeof value) == sizeof value) {
                value++;
                write(next[1], &value, sizeof value);
            }
            _exit(0);
        }
        close(input);
        close(next[1]);
        input = next[0];
    }
    int sent = 0, value = 0, wrong = 0;
    for (sent = 0; sent < 50; sent++) {
        write(first[1], &sent, sizeof sent);
        read(input, &value, sizeof value);
        wrong += value != sent + 8;
    }
    close(first[1]);
    IS(wrong == 0 && read(input, &value, sizeof value) == 0);
    while (wait(&status) > 0)
        ;

    /* A writer that waits is ended by the reader's leaving. */
    pipe(ends);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        for (;;)
            write(ends[1], block, sizeof block);
    }
    close(ends[1]);
    read(ends[0], block, 10);
    sleep_ms(20);
    close(ends[0]);
    reap("blocked writer", child);
    return 0;
}
