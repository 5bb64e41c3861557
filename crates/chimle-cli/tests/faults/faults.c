// Makes a system call fail, or kills the process after one. It is loaded into chimle by LD_PRELOAD.
//
// Calls on files whose path contains FAULT_PATH are counted, from 1. The call number FAULT_AT fails with
// the error FAULT_ERRNO without being made. If that is 0, it is made, and then the process is killed.
// At the end of the process the count is written to the file FAULT_COUNT.

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FILES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[MOST_FILES];
static long count;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : -1;
}

static int matches(const char *path) {
    const char *part = getenv("FAULT_PATH");
    return path && part && strstr(path, part) != NULL;
}

static int matches_file(int file) {
    return file >= 0 && file < MOST_FILES && watched[file];
}

// Counts a call. Returns whether the call must fail. Sets `dies` if the process must be killed after the call.
static int fails(int *dies) {
    pthread_mutex_lock(&lock);
    long now = ++count;
    pthread_mutex_unlock(&lock);
    *dies = 0;
    if (now != number("FAULT_AT")) return 0;
    if (number("FAULT_ERRNO") == 0) {
        *dies = 1;
        return 0;
    }
    errno = (int)number("FAULT_ERRNO");
    return 1;
}

static void die_if(int dies) {
    if (dies) kill(getpid(), SIGKILL);
}

__attribute__((destructor)) static void write_count(void) {
    const char *path = getenv("FAULT_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", count);
    fclose(file);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// A call on a path, or on an open file.
#define FAULTY(type, name, is_watched, failed, parameters, ...)  \
    type name parameters {                                        \
        int dies = 0;                                             \
        int is_counted = (is_watched);                            \
        if (is_counted && fails(&dies)) return failed;            \
        type result = REAL(name)(__VA_ARGS__);                    \
        int error = errno;                                        \
        if (is_counted) die_if(dies);                             \
        errno = error;                                            \
        return result;                                            \
    }

FAULTY(ssize_t, write, matches_file(file), -1, (int file, const void *bytes, size_t size), file, bytes, size)
FAULTY(int, fsync, matches_file(file), -1, (int file), file)
FAULTY(int, fdatasync, matches_file(file), -1, (int file), file)
FAULTY(int, ftruncate64, matches_file(file), -1, (int file, off64_t size), file, size)
FAULTY(int, fchmod, matches_file(file), -1, (int file, mode_t mode), file, mode)
FAULTY(int, mkdir, matches(path), -1, (const char *path, mode_t mode), path, mode)
FAULTY(int, unlink, matches(path), -1, (const char *path), path)
FAULTY(int, rmdir, matches(path), -1, (const char *path), path)
FAULTY(int, unlinkat, matches(path) || matches_file(folder), -1, (int folder, const char *path, int flags), folder, path, flags)
FAULTY(int, rename, matches(from) || matches(to), -1, (const char *from, const char *to), from, to)
FAULTY(DIR *, opendir, matches(path), NULL, (const char *path), path)

static int opened(int file, int is_counted, int dies) {
    if (file >= 0 && file < MOST_FILES) watched[file] = (char)is_counted;
    int error = errno;
    if (is_counted) die_if(dies);
    errno = error;
    return file;
}

#define OPEN(name)                                                \
    int name(const char *path, int flags, ...) {                  \
        va_list rest;                                             \
        va_start(rest, flags);                                    \
        mode_t mode = va_arg(rest, mode_t);                       \
        va_end(rest);                                             \
        int dies = 0, is_counted = matches(path);                 \
        if (is_counted && fails(&dies)) return -1;                \
        return opened(REAL(name)(path, flags, mode), is_counted, dies); \
    }

OPEN(open)
OPEN(open64)

#define OPENAT(name)                                              \
    int name(int folder, const char *path, int flags, ...) {      \
        va_list rest;                                             \
        va_start(rest, flags);                                    \
        mode_t mode = va_arg(rest, mode_t);                       \
        va_end(rest);                                             \
        int dies = 0, is_counted = matches(path) || matches_file(folder); \
        if (is_counted && fails(&dies)) return -1;                \
        return opened(REAL(name)(folder, path, flags, mode), is_counted, dies); \
    }

OPENAT(openat)
OPENAT(openat64)
