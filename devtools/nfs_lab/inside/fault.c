/* Preloaded into NFS-Ganesha: lets one operation of the export's file system go wrong.
 *
 *   LAB_FAULT_OPERATION  RENAME, LINK, SYMLINK, MKDIR, REMOVE, OPEN (one that creates), WRITE or COMMIT
 *   LAB_FAULT_ACTION     die-before  the server is killed before it executes the operation
 *                        die-after   the server executes it and is killed when it is about to reply
 *                        cut-after   the server executes it and all clients' connections are reset before it replies
 *                        errno       the operation is not executed and reports LAB_FAULT_ERRNO
 *   LAB_FAULT_NTH        which one, from 1: of those that succeed for *-after, of all for the others
 *   LAB_FAULT_COUNT      for errno: how many in a row
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *operation = "", *action = "";
static long nth = 1, count = 1;
static int error_number = EIO;
static atomic_long seen;
static bool reply_is_lost; /* the next reply, whoever sends it: any of Ganesha's threads may */
static pthread_mutex_t replying = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void read_environment(void)
{
	const char *value;

	if ((value = getenv("LAB_FAULT_OPERATION")))
		operation = value;
	if ((value = getenv("LAB_FAULT_ACTION")))
		action = value;
	if ((value = getenv("LAB_FAULT_NTH")))
		nth = atol(value);
	if ((value = getenv("LAB_FAULT_COUNT")))
		count = atol(value);
	if ((value = getenv("LAB_FAULT_ERRNO")))
		error_number = atoi(value);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Whether the operation is to report an error instead of being executed. */
static bool refused(const char *name)
{
	long number;

	if (strcmp(name, operation) != 0)
		return false;
	if (strcmp(action, "die-before") == 0 && atomic_fetch_add(&seen, 1) + 1 == nth)
		die();
	if (strcmp(action, "errno") != 0)
		return false;
	number = atomic_fetch_add(&seen, 1) + 1;
	if (number < nth || number >= nth + count)
		return false;
	errno = error_number;
	return true;
}

static ssize_t executed(const char *name, ssize_t result)
{
	if (result >= 0 && strcmp(name, operation) == 0 &&
	    (strcmp(action, "die-after") == 0 || strcmp(action, "cut-after") == 0) &&
	    atomic_fetch_add(&seen, 1) + 1 == nth) {
		pthread_mutex_lock(&replying);
		reply_is_lost = true;
		pthread_mutex_unlock(&replying);
	}
	return result;
}

/* connect(2): AF_UNSPEC dissolves an association, and TCP sends a reset. What is no connected TCP socket refuses. */
static void reset_all_connections(void)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage peer;
	socklen_t size;

	for (int file = 0; file < sysconf(_SC_OPEN_MAX); file++) {
		size = sizeof peer;
		if (getpeername(file, (struct sockaddr *)&peer, &size) == 0 &&
		    (peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
			connect(file, &nobody, sizeof nobody);
	}
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int renameat(int from, const char *old, int to, const char *new)
{
	return refused("RENAME") ? -1 : (int)executed("RENAME", REAL(renameat)(from, old, to, new));
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
	return refused("LINK") ? -1 : (int)executed("LINK", REAL(linkat)(from, old, to, new, flags));
}

int symlinkat(const char *target, int folder, const char *name)
{
	return refused("SYMLINK") ? -1 : (int)executed("SYMLINK", REAL(symlinkat)(target, folder, name));
}

int mkdirat(int folder, const char *name, mode_t mode)
{
	return refused("MKDIR") ? -1 : (int)executed("MKDIR", REAL(mkdirat)(folder, name, mode));
}

int unlinkat(int folder, const char *name, int flags)
{
	return refused("REMOVE") ? -1 : (int)executed("REMOVE", REAL(unlinkat)(folder, name, flags));
}

int openat64(int folder, const char *name, int flags, ...)
{
	mode_t mode = 0;

	if (!(flags & O_CREAT))
		return REAL(openat64)(folder, name, flags);
	va_list rest;
	va_start(rest, flags);
	mode = va_arg(rest, mode_t);
	va_end(rest);
	return refused("OPEN") ? -1 : (int)executed("OPEN", REAL(openat64)(folder, name, flags, mode));
}

ssize_t pwritev64(int file, const struct iovec *parts, int number, off64_t offset)
{
	return refused("WRITE") ? -1 : executed("WRITE", REAL(pwritev64)(file, parts, number, offset));
}

int fsync(int file)
{
	return refused("COMMIT") ? -1 : (int)executed("COMMIT", REAL(fsync)(file));
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags)
{
	pthread_mutex_lock(&replying);
	if (reply_is_lost) {
		reply_is_lost = false;
		if (strcmp(action, "die-after") == 0)
			die();
		reset_all_connections();
	}
	pthread_mutex_unlock(&replying);
	return REAL(sendmsg)(socket, message, flags);
}

/* Ganesha loads its file system module with RTLD_DEEPBIND, which would bind it to libc past these functions. */
void *dlopen(const char *path, int flags)
{
	return REAL(dlopen)(path, flags & ~RTLD_DEEPBIND);
}
