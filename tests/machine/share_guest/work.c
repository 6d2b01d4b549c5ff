// Runs in a guest, in a shared folder: what programs expect of a file system that a shell cannot ask for.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno)); \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

static int make(const char *name, const char *content) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    return fd;
}

static void extended_attributes(void) {
    char value[100], names[1000];
    int fd = make("attributes", "");
    CHECK(setxattr("attributes", "user.one", "1", 1, XATTR_CREATE) == 0);
    CHECK(setxattr("attributes", "user.one", "1", 1, XATTR_CREATE) == -1 && errno == EEXIST);
    CHECK(setxattr("attributes", "security.mine", "kept", 4, 0) == 0);
    CHECK(setxattr("attributes", "trusted.mine", "too", 3, 0) == 0);
    CHECK(getxattr("attributes", "trusted.mine", value, sizeof value) == 3 && memcmp(value, "too", 3) == 0);
    ssize_t length = listxattr("attributes", names, sizeof names);
    CHECK(length > 0 && memmem(names, length, "security.mine", 14) && memmem(names, length, "user.one", 9));
    CHECK(!memmem(names, length, "doppel", 6));
    CHECK(fremovexattr(fd, "user.one") == 0);
    CHECK(fgetxattr(fd, "user.one", value, sizeof value) == -1 && errno == ENODATA);
    close(fd);
}

static int record(int fd, int command, short type, off_t start, off_t length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &lock);
}

static void record_locks(void) {
    int ready[2], go[2], fd = make("locks", "0123456789");
    char byte;
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(record(fd, F_SETLK, F_WRLCK, 2, 3) == 0);
        CHECK(write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 1);
        usleep(100000);
        CHECK(pwrite(fd, "X", 1, 0) == 1);
        exit(0);  // the locks go with it
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(record(fd, F_SETLK, F_WRLCK, 4, 1) == -1 && (errno == EAGAIN || errno == EACCES));
    CHECK(record(fd, F_SETLK, F_WRLCK, 5, 1) == 0);
    struct flock found = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    CHECK(fcntl(fd, F_GETLK, &found) == 0 && found.l_type == F_WRLCK && found.l_start == 2 && found.l_len == 3);
    CHECK(found.l_pid == child);
    CHECK(write(go[1], "x", 1) == 1);
    CHECK(record(fd, F_SETLKW, F_WRLCK, 0, 0) == 0);
    CHECK(pread(fd, &byte, 1, 0) == 1 && byte == 'X');
    CHECK(waitpid(child, NULL, 0) == child);
    close(fd);
}

// Processes that count up under a lock lose nothing.
static void counting(void) {
    enum { kProcesses = 4, kTimes = 50 };
    int fd = make("counter", "0");
    for (int i = 0; i < kProcesses; i++) {
        if (fork() != 0) continue;
        for (int k = 0; k < kTimes; k++) {
            char text[20] = {0};
            int own = open("counter", O_RDWR);
            CHECK(own >= 0 && flock(own, LOCK_EX) == 0);
            CHECK(pread(own, text, sizeof text - 1, 0) > 0);
            int length = snprintf(text, sizeof text, "%d", atoi(text) + 1);
            CHECK(pwrite(own, text, length, 0) == length);
            close(own);
        }
        exit(0);
    }
    for (int i = 0, status; i < kProcesses; i++) CHECK(wait(&status) > 0 && status == 0);
    char text[20] = {0};
    CHECK(pread(fd, text, sizeof text - 1, 0) > 0 && atoi(text) == kProcesses * kTimes);
    close(fd);
}

static void mappings(void) {
    enum { kBytes = 1 << 20 };
    int fd = make("mapped", "start");
    CHECK(ftruncate(fd, kBytes) == 0);
    char *at = mmap(NULL, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(at != MAP_FAILED && memcmp(at, "start", 5) == 0);
    for (int i = 0; i < kBytes; i += 4096) at[i] = (char)(i >> 12);
    if (fork() == 0) {
        at[1] = '!';
        exit(0);
    }
    wait(NULL);
    CHECK(at[1] == '!');
    CHECK(msync(at, kBytes, MS_SYNC) == 0 && munmap(at, kBytes) == 0);
    char byte;
    CHECK(pread(fd, &byte, 1, 200 << 12) == 1 && byte == (char)200);
    close(fd);
}

static void files_without_a_name(void) {
    struct stat status;
    char text[10], path[64];
    int fd = make("gone", "content");
    CHECK(unlink("gone") == 0 && fstat(fd, &status) == 0 && status.st_nlink == 0 && status.st_size == 7);
    CHECK(ftruncate(fd, 3) == 0 && fchmod(fd, 0600) == 0 && pread(fd, text, 10, 0) == 3);
    close(fd);
    int old = make("replaced", "old");
    make("new", "new");
    CHECK(rename("new", "replaced") == 0 && pread(old, text, 10, 0) == 3 && memcmp(text, "old", 3) == 0);
    close(old);
    fd = open(".", O_TMPFILE | O_RDWR, 0640);
    CHECK(fd >= 0 && write(fd, "named", 5) == 5);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
    CHECK(stat("named", &status) == 0 && status.st_size == 5 && (status.st_mode & 07777) == 0640);
    close(fd);
}

static void names(void) {
    struct stat one, two;
    close(make("a", "a"));
    close(make("b", "bb"));
    CHECK(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) == -1 && errno == EEXIST);
    CHECK(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
    CHECK(stat("a", &one) == 0 && one.st_size == 2);
    CHECK(link("a", "c") == 0 && stat("c", &two) == 0 && stat("a", &one) == 0);
    CHECK(one.st_ino == two.st_ino && one.st_nlink == 2 && two.st_nlink == 2);
    CHECK(mknod("device", S_IFCHR | 0600, 0x103) == 0 && stat("device", &one) == 0 && S_ISCHR(one.st_mode));
    CHECK(one.st_rdev == 0x103);
    char byte = 'x';
    int null = open("device", O_RDWR);
    CHECK(null >= 0 && read(null, &byte, 1) == 0);
    CHECK(mkfifo("fifo", 0644) == 0);
    if (fork() == 0) exit(write(open("fifo", O_WRONLY), "p", 1) != 1);
    CHECK(read(open("fifo", O_RDONLY), &byte, 1) == 1 && byte == 'p');
    wait(NULL);
    CHECK(mkdir("set", 0755) == 0 && chown("set", 0, 50) == 0 && chmod("set", 02775) == 0);
    close(make("set/file", ""));
    CHECK(stat("set/file", &one) == 0 && one.st_gid == 50);
    CHECK(chown("set/file", 1000, 1000) == 0 && stat("set/file", &one) == 0 && one.st_uid == 1000);
    CHECK(symlink("set", "link") == 0 && lchown("link", 7, 8) == 0 && lstat("link", &one) == 0);
    CHECK(S_ISLNK(one.st_mode) && one.st_uid == 7 && readlink("link", &byte, 1) == 1 && byte == 's');
}

static void holes(void) {
    int fd = make("holes", "");
    const off_t far = (off_t)6 << 30;
    char byte = 1;
    CHECK(pwrite(fd, "x", 1, far) == 1 && lseek(fd, 0, SEEK_END) == far + 1);
    CHECK(lseek(fd, 0, SEEK_DATA) >= 0 && lseek(fd, far, SEEK_HOLE) == far + 1);
    CHECK(fallocate(fd, 0, 0, 8192) == 0 && pwrite(fd, "yz", 2, 4095) == 2);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
    CHECK(pread(fd, &byte, 1, 4095) == 1 && byte == 0 && pread(fd, &byte, 1, 4096) == 1 && byte == 'z');
    close(fd);
    CHECK(unlink("holes") == 0);
}

static void folders(void) {
    enum { kFiles = 700 };
    char name[300];
    CHECK(mkdir("many", 0755) == 0);
    for (int i = 0; i < kFiles; i++) {
        snprintf(name, sizeof name, "many/a-file-with-a-longer-name-%d", i);
        close(make(name, ""));
    }
    DIR *folder = opendir("many");
    int count = 0;
    long middle = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (++count == kFiles / 2) middle = telldir(folder);
    }
    CHECK(count == kFiles + 2);
    seekdir(folder, middle);
    for (count = 0; readdir(folder) != NULL;) count++;
    CHECK(count == kFiles + 2 - kFiles / 2);
    rewinddir(folder);
    while ((entry = readdir(folder)) != NULL) {
        snprintf(name, sizeof name, "many/%s", entry->d_name);
        CHECK(entry->d_name[0] == '.' || unlink(name) == 0);
    }
    CHECK(rmdir("many") == 0);
}

// `work try FILE`: 1 when it is locked. `work hold FILE`: waits for the lock, says so, and keeps it.
static int lock_file(const char *how, const char *path) {
    int fd = open(path, O_RDWR), wait = strcmp(how, "hold") == 0;
    CHECK(fd >= 0);
    if (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) return 1;
    if (!wait) return 0;
    close(make("held", "yes"));
    pause();
    return 0;
}

int main(int count, char **words) {
    umask(022);
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count == 3) return lock_file(words[1], words[2]);
    extended_attributes();
    record_locks();
    counting();
    mappings();
    files_without_a_name();
    names();
    holes();
    folders();
    puts("the work is done");
    return 0;
}
