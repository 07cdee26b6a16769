/* Real faults of the world for real processes, put before libc by LD_PRELOAD.
 *
 * SHIM_DISK names a file with one line: an errno and a part of paths. While it is there, write and
 * fsync of a file whose path holds that part fail with that errno, as on a broken device.
 * SHIM_CLOCK names a file with one number: by so many seconds the time of day is off. The
 * monotonic clocks go on as they are: nobody sets those.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ROOM 4096

static int told(const char *variable, char *text) {
    const char *path = getenv(variable);
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    long length = syscall(SYS_read, file, text, ROOM - 1);
    syscall(SYS_close, file);
    if (length <= 0)
        return 0;
    text[length] = 0;
    text[strcspn(text, "\n")] = 0;
    return 1;
}

static int fault_of(int descriptor) {
    int kept = errno, number = 0, used = 0;
    char text[ROOM], link[64], path[ROOM];
    if (told("SHIM_DISK", text) && sscanf(text, "%d %n", &number, &used) == 1) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        long length = readlink(link, path, ROOM - 1);
        path[length > 0 ? length : 0] = 0;
        if (!strstr(path, text + used))
            number = 0;
    }
    errno = kept;
    return number;
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
    int fault = fault_of(descriptor);
    if (fault) {
        errno = fault;
        return -1;
    }
    return syscall(SYS_write, descriptor, bytes, size);
}

int fsync(int descriptor) {
    int fault = fault_of(descriptor);
    if (fault) {
        errno = fault;
        return -1;
    }
    return (int)syscall(SYS_fsync, descriptor);
}

static long off(void) {
    int kept = errno;
    char text[ROOM];
    long seconds = told("SHIM_CLOCK", text) ? atol(text) : 0;
    errno = kept;
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int answer = (int)syscall(SYS_clock_gettime, clock, at);
    if (!answer && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += off();
    return answer;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
