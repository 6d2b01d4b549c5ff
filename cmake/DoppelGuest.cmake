# doppel_guest(NAME SOURCE [FLAG...]): SOURCE with the start-up code of tests/guests as a bare-metal riscv64 program at 0x80000000,
# ${CMAKE_CURRENT_BINARY_DIR}/NAME.elf. Without a cross compiler nothing is built, and what needs the program says so.
find_program(RISCV64_GCC riscv64-linux-gnu-gcc)

set(DOPPEL_GUEST_RUNTIME ${CMAKE_SOURCE_DIR}/tests/guests)
set(DOPPEL_GUEST_FLAGS -march=rv64gc_zicsr_zifencei -mabi=lp64d -mcmodel=medany -O2 -std=gnu11 -ffreestanding -fno-pic
  -fno-stack-protector -fno-tree-loop-distribute-patterns -Wall -Wextra -Werror -I${DOPPEL_GUEST_RUNTIME}
  -nostdlib -static -no-pie -Wl,--build-id=none -T ${DOPPEL_GUEST_RUNTIME}/guest.ld)

function(doppel_guest name source)
  if(NOT RISCV64_GCC)
    return()
  endif()
  set(elf ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h ${CMAKE_CURRENT_SOURCE_DIR}/guests/*.h)
  set(runtime ${DOPPEL_GUEST_RUNTIME}/start.S ${DOPPEL_GUEST_RUNTIME}/guest.c)
  add_custom_command(OUTPUT ${elf}
    COMMAND ${RISCV64_GCC} ${DOPPEL_GUEST_FLAGS} ${ARGN} ${runtime} ${source} -o ${elf}
    DEPENDS ${runtime} ${source} ${headers} ${DOPPEL_GUEST_RUNTIME}/guest.h ${DOPPEL_GUEST_RUNTIME}/guest.ld
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} VERBATIM)
  add_custom_target(guest_${name} ALL DEPENDS ${elf})
endfunction()
