/* A disk that tells what it has confirmed. Beside what a program writes below POWER_DISK, POWER_CONFIRMED gets the content of each file at its
   last fsync, and the names in each folder at its last one: `power.rs` makes of it what a power cut may leave. While the file POWER_FAILS is
   there, an fsync of a path that ends with POWER_FAILING is an error, and confirms nothing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int (*real_fsync)(int), (*real_fdatasync)(int);

__attribute__((constructor)) static void begin(void) {
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

/* An inode's number is given again; with its birth it is one file's for good. */
static int identity(int at, const char *name, int flags, char *to, size_t size) {
    struct statx found;
    if (statx(at, name, flags | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &found)) return -1;
    snprintf(to, size, "%llu.%lld.%09u", (unsigned long long)found.stx_ino, (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    return 0;
}

static int path_of(int fd, char *to, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, to, size - 1);
    if (length < 0) return -1;
    to[length] = 0;
    return 0;
}

static void names(const char *path, FILE *to) {
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        char of[96];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (!identity(dirfd(folder), entry->d_name, 0, of, sizeof of)) fprintf(to, "%s %s\n", of, entry->d_name);
    }
    if (folder) closedir(folder);
}

static void bytes(int fd, FILE *to) {
    char some[65536], link[64];
    ssize_t length;
    off_t at = 0;
    while ((length = pread(fd, some, sizeof some, at)) > 0) {
        fwrite(some, 1, length, to);
        at += length;
    }
    if (length == 0) return;
    /* It was opened to write alone. Whatever SQLite opens is not, so that no lock is dropped here. */
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int again = open(link, O_RDONLY | O_CLOEXEC);
    while (again >= 0 && (length = read(again, some, sizeof some)) > 0) fwrite(some, 1, length, to);
    if (again >= 0) close(again);
}

static void confirm(int fd) {
    static atomic_int turn;
    const char *disk = getenv("POWER_DISK"), *confirmed = getenv("POWER_CONFIRMED");
    char path[4096], of[96], fresh[4096], kept[4096];
    struct stat found;
    if (!disk || !confirmed || path_of(fd, path, sizeof path) || strncmp(path, disk, strlen(disk))) return;
    if (fstat(fd, &found) || !(S_ISDIR(found.st_mode) || S_ISREG(found.st_mode)) || identity(fd, "", AT_EMPTY_PATH, of, sizeof of)) return;
    snprintf(fresh, sizeof fresh, "%s/fresh-%d.%d", confirmed, getpid(), atomic_fetch_add(&turn, 1));
    snprintf(kept, sizeof kept, "%s/%s", confirmed, of);
    FILE *to = fopen(fresh, "we");
    if (!to) return;
    if (S_ISDIR(found.st_mode)) names(path, to); else bytes(fd, to);
    fchmod(fileno(to), found.st_mode & 07777);
    fclose(to);
    rename(fresh, kept);
}

static int fails(int fd) {
    const char *flag = getenv("POWER_FAILS"), *end = getenv("POWER_FAILING");
    char path[4096];
    if (!flag || !end || access(flag, F_OK) || path_of(fd, path, sizeof path)) return 0;
    size_t length = strlen(path), of_end = strlen(end);
    if (length < of_end || strcmp(path + length - of_end, end)) return 0;
    errno = EIO;
    return 1;
}

static int sync_with(int (*real)(int), int fd) {
    if (fails(fd)) return -1;
    int done = real(fd);
    int why = errno;
    if (!done) confirm(fd);
    errno = why;
    return done;
}

int fsync(int fd) { return sync_with(real_fsync, fd); }
int fdatasync(int fd) { return sync_with(real_fdatasync, fd); }
