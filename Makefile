# Sluice. The commands that matter: make run, make test, make bench. MODE is release, debug, asan (with ubsan) or tsan.
MODE    ?= release
VERSION := 0.1.0
BUILD   := build/$(MODE)
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
Q       := $(if $(V),,@)

PACKAGES := libevent openssl yaml-0.1 libnghttp2 zlib
# llhttp from a library where a distribution has one, else from Debian bookworm's sources; always the strict machine.
LLHTTP_SOURCES := $(if $(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),,$(wildcard /usr/share/llhttp/*.c))
LLHTTP_FLAGS   := -DLLHTTP_STRICT_MODE=1 $(if $(LLHTTP_SOURCES),-isystem /usr/share/include/llhttp)
PACKAGES       += $(if $(LLHTTP_SOURCES),,$(if $(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),libllhttp))

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wsign-compare -Wcast-qual -Wformat=2 \
            -Wpointer-arith -Wundef -Werror
HARDENING := -fstack-protector-strong -fPIE -fno-plt
# Fat objects: the program is optimised as a whole, the many test programs link the plain code.
CFLAGS_release := -O2 -g -flto=auto -ffat-lto-objects -D_FORTIFY_SOURCE=2
CFLAGS_debug   := -O0 -g
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -fsanitize=thread
CFLAGS  := -std=c11 -D_GNU_SOURCE -Irouter -DSLUICE_VERSION='"$(VERSION)"' $(WARNINGS) $(HARDENING) $(CFLAGS_$(MODE)) \
           $(LLHTTP_FLAGS) $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDFLAGS := -pie -Wl,-z,relro,-z,now $(filter -fsanitize=%,$(CFLAGS_$(MODE)))
LDFLAGS_program := $(if $(filter release,$(MODE)),-flto=auto -O2)
LDLIBS  := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -pthread

SOURCES := $(wildcard router/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(LLHTTP_SOURCES:/usr/share/llhttp/%.c=$(BUILD)/llhttp/%.o)
TESTS   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/test_*.c))

.PHONY: all build debug asan tsan run test check bench install-build install-test install-bench clean
.DELETE_ON_ERROR:
.SECONDARY:

all: install-build
	@$(MAKE) --no-print-directory build

# The link names the mode that was built last.
build: $(BUILD)/sluice
	@ln -sfn $(MODE)/sluice build/sluice

debug asan tsan: install-build
	@$(MAKE) --no-print-directory MODE=$@ build

$(BUILD)/sluice: $(OBJECTS)
	$(Q)echo link $@ && $(CC) $(LDFLAGS) $(LDFLAGS_program) -o $@ $^ $(LDLIBS)

$(BUILD)/router/%.o: router/%.c
	@mkdir -p $(@D)
	$(Q)echo cc $< && $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# Generated code: our warnings are not for it.
$(BUILD)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(Q)echo cc $< && $(CC) -w -O2 $(LLHTTP_FLAGS) -fPIE $(filter -fsanitize=%,$(CFLAGS_$(MODE))) -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)echo cc $< && $(CC) $(CFLAGS) -fno-lto -Itests -MMD -MP $(LDFLAGS) -o $@ $< $(filter-out %/cli/main.o,$(OBJECTS)) -lcmocka $(LDLIBS)

# The stand-in cluster with Sluice in front of it; with CONFIG=my.yaml, Sluice alone on a cluster of your own.
run: install-$(if $(CONFIG),build,test)
	@$(MAKE) --no-print-directory build
	@CONFIG="$(CONFIG)" deploy/run.sh

test: install-test
	@$(MAKE) --no-print-directory check

check: build $(TESTS)
	@MODE=$(MODE) tests/run.sh $(TESTS)

bench: install-bench
	@$(MAKE) --no-print-directory build
	@python3 bench/run.py --sluice build/sluice $(BENCH_FLAGS)

install-build install-test install-bench:
	@deploy/install-dependencies.sh $(@:install-%=%)

clean:
	rm -rf build

-include $(OBJECTS:.o=.d) $(TESTS:=.d)
