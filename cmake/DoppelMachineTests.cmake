# doppel_machine_tests() - the tests of whole machines in *.py of the present folder.
#
# Each function test_X of a file is the test functional.X; long_X is one with the label long. Afterwards tests_of_FILE is
# the list of those of FILE.py, and machine_tests that of all.

function(doppel_machine_tests)
  file(GLOB files CONFIGURE_DEPENDS *.py)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files})
  set(environment PYTHONDONTWRITEBYTECODE=1)
  if(DOPPEL_SANITIZE OR DOPPEL_THREAD_SANITIZE OR DOPPEL_FUZZ)
    list(APPEND environment DOPPEL_INSTRUMENTED=1)
  endif()
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    set(tests)
    file(STRINGS ${file} functions REGEX "^def (test|long)_[a-z0-9_]+\\(\\):$")
    foreach(function ${functions})
      string(REGEX REPLACE "^def (test|long)_([a-z0-9_]+).*" "\\1;\\2" parts ${function})
      list(GET parts 0 kind)
      list(GET parts 1 sentence)
      set(labels functional)
      if(kind STREQUAL "long")
        list(APPEND labels long)
      endif()
      add_test(NAME functional.${sentence} COMMAND Python3::Interpreter ${file} $<TARGET_FILE:doppel>
               ${CMAKE_BINARY_DIR}/tests/guests ${sentence})
      set_tests_properties(functional.${sentence} PROPERTIES LABELS "${labels}" SKIP_RETURN_CODE 77 TIMEOUT 900
                           FIXTURES_REQUIRED tiny_image ENVIRONMENT "${environment}")
      list(APPEND tests functional.${sentence})
    endforeach()
    set(tests_of_${stem} ${tests} PARENT_SCOPE)
    list(APPEND all ${tests})
  endforeach()
  set(machine_tests ${all} PARENT_SCOPE)
endfunction()
