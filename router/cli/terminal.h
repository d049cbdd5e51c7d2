#ifndef SLUICE_CLI_TERMINAL_H
#define SLUICE_CLI_TERMINAL_H
/*
 * A terminal that is drawn on as a whole, on its alternate screen (the control sequences of ECMA-48 and xterm's private mode 1049).
 * From terminal_open to terminal_close keys are read one by one without an echo, and signals come through terminal_wait, so that the
 * terminal is given back as it was whichever way the command ends.
 */
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "base/text.h"

struct terminal {
    struct termios before;
    bool has_keys;  /* standard input is a terminal */
    int signal_fd;
    int events_fd;  /* can be read when a key or a signal is there: for poll */
    int end_signal; /* the signal to end by, once the terminal is given back; 0: none */
};

enum terminal_event {
    TERMINAL_TIME, /* the time is over */
    TERMINAL_SIZE, /* the terminal has another size; also a key that means nothing */
    TERMINAL_END,  /* q, Ctrl-C, or a signal that ends */
};

/* Standard output is a terminal that knows control sequences. */
bool terminal_is_there(void);
/* Of standard output, 24 rows and 80 columns when the system does not tell. */
void terminal_size(unsigned *rows, unsigned *columns);

/* False with errno; then the terminal is as it was. */
bool terminal_open(struct terminal *terminal);
/* Gives the terminal back. The caller then ends by `end_signal`, if it is not 0. */
void terminal_close(struct terminal *terminal);

/* Puts the lines of `text` on the screen, from its top; they fit. False when the terminal has gone. */
bool terminal_draw(struct text text);
enum terminal_event terminal_wait(struct terminal *terminal, uint64_t limit_ms);

#endif
