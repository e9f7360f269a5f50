package datamap;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.apache.paimon.CoreOptions;
import org.apache.paimon.catalog.Catalog;
import org.apache.paimon.catalog.CatalogContext;
import org.apache.paimon.catalog.CatalogFactory;
import org.apache.paimon.catalog.Identifier;
import org.apache.paimon.data.BinaryString;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.fs.FileIO;
import org.apache.paimon.fs.Path;
import org.apache.paimon.options.Options;
import org.apache.paimon.reader.RecordReader;
import org.apache.paimon.schema.Schema;
import org.apache.paimon.schema.SchemaChange;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.Table;
import org.apache.paimon.table.sink.BatchTableCommit;
import org.apache.paimon.table.sink.BatchTableWrite;
import org.apache.paimon.table.sink.BatchWriteBuilder;
import org.apache.paimon.table.source.ReadBuilder;
import org.apache.paimon.types.DataTypes;

/**
 * Writes and reads a filesystem catalog on OSS with Paimon's own FileIO. Prints one JSON document a line for each
 * command.
 *
 * <p>Arguments: endpoint URL, access key id, access key secret, warehouse (oss://bucket/path), then commands, with
 * {@code --} between them:
 *
 * <ul>
 *   <li>{@code write DATABASE TABLE COMMITS}: creates the table when it is missing and appends so many commits
 *   <li>{@code read DATABASE TABLE}: rows, latest snapshot and schema as Paimon sees them
 *   <li>{@code alter DATABASE TABLE COLUMN}: adds a nullable column
 *   <li>{@code rename DATABASE TABLE TO}: renames the table's directory
 *   <li>{@code drop DATABASE TABLE}
 *   <li>{@code race KEY WRITERS}: so many threads write the same new object atomically; prints how many won
 * </ul>
 */
public final class Warehouse {
  public static void main(String[] args) throws Exception {
    Options options = new Options();
    options.set("warehouse", args[3]);
    options.set("fs.oss.endpoint", args[0]);
    options.set("fs.oss.accessKeyId", args[1]);
    options.set("fs.oss.accessKeySecret", args[2]);
    CatalogContext context = CatalogContext.create(options);
    try (Catalog catalog = CatalogFactory.createCatalog(context)) {
      List<String> command = new ArrayList<>();
      for (int i = 4; i <= args.length; i++) {
        if (i < args.length && !args[i].equals("--")) {
          command.add(args[i]);
          continue;
        }
        System.out.println(run(catalog, context, args[3], command));
        command.clear();
      }
    }
    // The plugin's connection reaper is no daemon.
    System.exit(0);
  }

  private static String run(Catalog catalog, CatalogContext context, String warehouse, List<String> command)
      throws Exception {
    String first = command.get(1);
    switch (command.get(0)) {
      case "write":
        return write(catalog, Identifier.create(first, command.get(2)), Integer.parseInt(command.get(3)));
      case "read":
        return read(catalog, Identifier.create(first, command.get(2)));
      case "alter":
        catalog.alterTable(
            Identifier.create(first, command.get(2)), SchemaChange.addColumn(command.get(3), DataTypes.STRING()), false);
        return read(catalog, Identifier.create(first, command.get(2)));
      case "rename":
        catalog.renameTable(
            Identifier.create(first, command.get(2)), Identifier.create(first, command.get(3)), false);
        return read(catalog, Identifier.create(first, command.get(3)));
      case "drop":
        catalog.dropTable(Identifier.create(first, command.get(2)), false);
        return "{\"tables\":" + catalog.listTables(first).size() + "}";
      case "race":
        return race(context, new Path(warehouse + "/" + first), Integer.parseInt(command.get(2)));
      default:
        throw new IllegalArgumentException("unknown command " + command.get(0));
    }
  }

  private static String write(Catalog catalog, Identifier identifier, int commits) throws Exception {
    catalog.createDatabase(identifier.getDatabaseName(), true);
    Schema schema =
        Schema.newBuilder()
            .column("id", DataTypes.BIGINT().notNull())
            .column("dt", DataTypes.STRING())
            .column("amount", DataTypes.DECIMAL(20, 4))
            .partitionKeys("dt")
            .option(CoreOptions.BUCKET.key(), "-1")
            .comment("written through the endpoint")
            .build();
    catalog.createTable(identifier, schema, true);
    Table table = catalog.getTable(identifier);
    for (int commit = 0; commit < commits; commit++) {
      BatchWriteBuilder builder = table.newBatchWriteBuilder();
      try (BatchTableWrite write = builder.newWrite();
          BatchTableCommit sink = builder.newCommit()) {
        for (int row = 0; row < 10; row++) {
          GenericRow value = new GenericRow(table.rowType().getFieldCount());
          value.setField(0, (long) commit * 10 + row);
          value.setField(1, BinaryString.fromString("2026-01-0" + (1 + row % 3)));
          write.write(value);
        }
        sink.commit(write.prepareCommit());
      }
    }
    return read(catalog, identifier);
  }

  private static String read(Catalog catalog, Identifier identifier) throws Exception {
    FileStoreTable table = (FileStoreTable) catalog.getTable(identifier);
    ReadBuilder builder = table.newReadBuilder();
    long[] rows = {0};
    TreeSet<String> partitions = new TreeSet<>();
    try (RecordReader<InternalRow> reader = builder.newRead().createReader(builder.newScan().plan())) {
      reader.forEachRemaining(
          row -> {
            rows[0]++;
            partitions.add(row.getString(1).toString());
          });
    }
    Long snapshot = table.snapshotManager().latestSnapshotId();
    return "{\"rows\":" + rows[0] + ",\"partitions\":" + partitions.size() + ",\"snapshotId\":" + snapshot + ",\"schemaId\":" + table.schema().id() + "}";
  }

  private static String race(CatalogContext context, Path path, int writers) throws Exception {
    FileIO io = FileIO.get(path, context);
    List<Thread> threads = new ArrayList<>();
    int[] won = {0};
    for (int writer = 0; writer < writers; writer++) {
      String content = "writer " + writer;
      Thread thread =
          new Thread(
              () -> {
                try {
                  if (io.tryToWriteAtomic(path, content)) {
                    synchronized (won) {
                      won[0]++;
                    }
                  }
                } catch (Exception lost) {
                  // A loser may also see the winner's file as an error.
                }
              });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) {
      thread.join();
    }
    return "{\"won\":" + won[0] + ",\"content\":\"" + io.readFileUtf8(path) + "\"}";
  }
}
