# As CloudNativePG's project of extension images describes an extension (its wal2json beside
# it has no SQL: this one is created in a database).
metadata = {
  name                     = "cdc"
  sql_name                 = "cdc"
  image_name               = "cdc"
  licenses                 = ["PostgreSQL"]
  shared_preload_libraries = []
  postgresql_parameters = {
    # It exists since 18.6; a server before that does not start with it.
    "output_plugin_libraries" = "pgoutput, test_decoding, cdc"
  }
  extension_control_path = []
  dynamic_library_path   = []
  ld_library_path        = []
  bin_path               = []
  env                    = {}
  auto_update_os_libs    = false
  required_extensions    = []
  create_extension       = true

  versions = {
    trixie = {
      "18" = {
        package = "1.0~deb13+1"
        sql     = "1.0"
      }
    }
  }
}
