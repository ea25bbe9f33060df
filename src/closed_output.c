/* Rust's runtime opens /dev/null where standard output is closed, before `main`: what is written there is lost, and
 * every write succeeds. This runs earlier and puts a file there that is not open for writing, so that the first write
 * fails and says so. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int is_closed(int descriptor) {
    return fcntl(descriptor, F_GETFD) == -1 && errno == EBADF;
}

__attribute__((constructor)) static void keep_output_closed(void) {
    /* An open takes the lowest number that is free, so that standard input comes first. */
    for (int descriptor = STDIN_FILENO; descriptor <= STDOUT_FILENO; descriptor++) {
        if (is_closed(descriptor) && open("/dev/null", O_RDONLY) != descriptor) {
            _exit(1);
        }
    }
}
