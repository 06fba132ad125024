# What `cmake --install` leaves behind: the command and its shim, the header, the probe library,
# the man page, and how other builds find them (a pkg-config file, a CMake package).
include(CMakePackageConfigHelpers)
set(CORONER_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/coroner)

install(TARGETS coroner RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS coroner-shim LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY probes/include/coroner DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(FILES shim/launcher/coroner.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES runtime/report/report.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/coroner)
if(TARGET coroner-probes)
  install(TARGETS coroner-probes ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  set(CORONER_PROBES_LIB "-lcoroner-probes")
endif()

# Paths relative to the prefix stay true when the tree is moved.
file(RELATIVE_PATH CORONER_PC_PREFIX
     ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(probes/coroner.pc.in ${CMAKE_BINARY_DIR}/coroner.pc @ONLY)
configure_file(probes/coroner-shim.pc.in ${CMAKE_BINARY_DIR}/coroner-shim.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/coroner.pc ${CMAKE_BINARY_DIR}/coroner-shim.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(probes/coroner-config.cmake.in
                              ${CMAKE_BINARY_DIR}/coroner-config.cmake
                              INSTALL_DESTINATION ${CORONER_CMAKE_DIR}
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR
                                        CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/coroner-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/coroner-config.cmake
              ${CMAKE_BINARY_DIR}/coroner-config-version.cmake
        DESTINATION ${CORONER_CMAKE_DIR})
