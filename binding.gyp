{
  'variables': {
    # Every C++ file below a folder, so that a new file needs no entry here.
    'core_sources%': [
      "<!@(node -p \"require('fs').readdirSync('native', { recursive: true }).filter((f) => f.endsWith('.cc') && !f.startsWith('addon')).sort().map((f) => 'native/' + f).join(' ')\")",
    ],
    'addon_sources%': [
      "<!@(node -p \"require('fs').readdirSync('native/addon').filter((f) => f.endsWith('.cc')).sort().map((f) => 'native/addon/' + f).join(' ')\")",
    ],
    'oracle_sources%': [
      "<!@(node -p \"require('fs').readdirSync('test/cpu/oracle').filter((f) => f.endsWith('.cc')).sort().map((f) => 'test/cpu/oracle/' + f).join(' ')\")",
    ],
    # npm run build:oracle sets it: the test program is not part of an installation.
    'build_oracle%': 0,
  },
  'target_defaults': {
    'include_dirs': ['native'],
    'cflags!': ['-O3', '-fno-exceptions', '-fno-omit-frame-pointer'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags': [
      '-O2', '-fPIC', '-Wall', '-Wextra', '-Werror',
      '-fno-plt', '-foptimize-sibling-calls', '-fvisibility=hidden',
    ],
    'cflags_cc': ['-std=c++20', '-fno-exceptions', '-fno-rtti'],
    'conditions': [
      # SSE and x87 of the guest run on those of the host: x86-64-v2.
      ['target_arch=="x64"', { 'cflags': ['-msse4.2', '-mpopcnt', '-mcx16'] }],
      ['OS=="mac"', {
        'xcode_settings': {
          'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
          'GCC_ENABLE_CPP_EXCEPTIONS': 'NO',
          'GCC_ENABLE_CPP_RTTI': 'NO',
          'GCC_OPTIMIZATION_LEVEL': '2',
          'OTHER_CFLAGS': ['-msse4.2'],
          'WARNING_CFLAGS': ['-Wall', '-Wextra', '-Werror'],
        },
      }],
    ],
  },
  'targets': [
    {
      'target_name': 'nodevm_core',
      'type': 'static_library',
      'sources': ['<@(core_sources)'],
    },
    {
      'target_name': 'nodevm',
      'dependencies': ['nodevm_core'],
      'sources': ['<@(addon_sources)'],
      'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
    },
  ],
  'conditions': [
    ['build_oracle==1', {
      'targets': [
        {
          'target_name': 'oracle',
          'type': 'executable',
          'dependencies': ['nodevm_core'],
          'sources': ['<@(oracle_sources)'],
          'include_dirs': ['test/cpu/oracle'],
        },
      ],
    }],
  ],
}
